"use strict";
/* The index: one row a video. */
const report = JSON.parse($("data").textContent);
const SHOWN_CLASSES = 12; // in the key of colours
const BAR = 110; // pixels of the longest bar
const total = (pairs) => pairs.reduce((sum, [, count]) => sum + count, 0);
for (const [i, video] of report.videos.entries()) {
  Object.assign(video, { i, heard: total(video.a), seen: total(video.v), warnings: video.warnings ?? "", seconds: video.seconds ?? -1, agreement: video.agreement ?? -1 });
}
const most = report.videos.reduce((top, video) => Math.max(top, video.heard, video.seen), 1);
const sort = ["i", 1];
const list = new LongTable($("list"), $("videos"), 30, cellsOf, open);
function barsOf(pairs, count) {
  const cell = element("td"), bars = element("div", "bars"), sorted = [...pairs].sort((a, b) => b[1] - a[1]);
  bars.append(element("b", "", grouped(count)));
  for (const [c, number] of sorted) {
    const bar = inHue(element("i"), c);
    bar.style.width = `${number / most * BAR}px`;
    bars.append(bar);
  }
  bars.title = sorted.map(([c, number]) => `${readable(report.classes[c])} ${number}`).join(", ");
  bars.append(Object.assign(element("span", "unseen"), { textContent: bars.title ? `: ${bars.title}` : "" }));
  cell.append(bars);
  return cell;
}
function cellsOf(video) {
  const name = element("td"), go = Object.assign(element("a", "go", video.name), { href: video.page, title: video.name });
  name.append(go);
  const cells = [name, element("td", "number", video.seconds < 0 ? "–" : clockTime(video.seconds, 0, 60)), barsOf(video.a, video.heard), barsOf(video.v, video.seen)];
  if (report.label) cells.push(element("td", "number", video.agreement < 0 ? "–" : `${Math.round(100 * video.agreement)} %`), element("td", "number", video.differ === undefined ? "–" : String(video.differ)));
  const warned = element("td", "", video.warnings);
  warned.title = video.warnings;
  return [...cells, warned];
}
function open(video, event) {
  list.mark(video, false);
  if (!event || event.target.closest("a")) return; // the link itself does it, in a new tab too
  location.href = video.page;
}
function passes(video) {
  const c = Number($("class").value), sense = $("sense").value, wanted = $("search").value.trim().toLowerCase();
  if (wanted && !video.name.toLowerCase().includes(wanted)) return false;
  if ($("warned").checked && !video.warnings) return false;
  const has = (pairs) => (c < 0 ? pairs.length > 0 : pairs.some(([one]) => one === c));
  if (sense === "any") return c < 0 || has(video.a) || has(video.v);
  return has(sense === "audio" ? video.a : video.v);
}
function refresh() {
  const shown = report.videos.filter(passes), [key, direction] = sort;
  shown.sort((a, b) => direction * compare(a[key], b[key]) || a.i - b.i);
  list.show(shown);
  $("none").hidden = shown.length > 0;
  $("shown").textContent = shown.length < report.videos.length ? `${shown.length} of ${report.videos.length}` : "";
}
function walk(direction) {
  const marked = list.items.indexOf(list.current);
  if (!list.items.length) return;
  const next = marked < 0 ? (direction > 0 ? 0 : list.items.length - 1) : clamp(marked + direction, 0, list.items.length - 1);
  list.mark(list.items[next]);
  list.focus(next);
}
// #video=NAME marks a video; with t it is opened at that second; with step the one before or after it is.
function followAddress() {
  const { video, t, step } = asked(), i = report.videos.findIndex((one) => one.name === video);
  if (i < 0) { if (video !== undefined) tell(`There is no video named ${video}`); return; }
  const target = report.videos[i + (Number(step) || 0)];
  if (!target) tell(step > 0 ? "That was the last video" : "That was the first video");
  else if (step || t) { location.replace(target.page + (t ? `#${address({ t })}` : "")); return; }
  list.mark(target ?? report.videos[i]);
  list.focus(list.items.indexOf(target ?? report.videos[i]));
}
function copyMarked() {
  if (list.current) copyLink({ video: list.current.name }); else tell("Mark a video first (n)");
}
const KEYS = {
  n: () => walk(1), p: () => walk(-1), ArrowDown: () => walk(1), ArrowUp: () => walk(-1), "/": () => $("search").focus(), c: () => $("class").focus(),
  w: () => $("warned").click(), l: copyMarked, t: nextTheme, "?": openHelp,
};
function onKey(event) {
  if (event.key === "Escape" && event.target.id === "search") event.target.blur();
  if (isTaken(event) || !Object.hasOwn(KEYS, event.key) || (event.key.startsWith("Arrow") && $("videos").contains(event.target))) return;
  event.preventDefault();
  KEYS[event.key]();
}
function listKey() {
  const counts = report.classes.map((_, c) => [c, 0]);
  for (const video of report.videos) for (const side of [video.a, video.v]) for (const [c, count] of side) counts[c][1] += count;
  const frequent = counts.filter(([, count]) => count).sort((a, b) => b[1] - a[1]);
  for (const [c] of frequent.slice(0, SHOWN_CLASSES)) {
    const entry = element("span");
    entry.append(inHue(element("span", "dot"), c), readable(report.classes[c]));
    $("key").append(entry);
  }
  if (frequent.length > SHOWN_CLASSES) $("key").append(element("span", "", `and ${plural(frequent.length - SHOWN_CLASSES, "other")}`));
  for (const [c] of [...frequent].sort((a, b) => compare(report.classes[a[0]], report.classes[b[0]]))) $("class").append(new Option(readable(report.classes[c]), c));
}
document.documentElement.classList.toggle("compared", Boolean(report.label));
listenShell();
listenHeads($("list").firstElementChild, sort, refresh);
for (const id of ["search", "class", "sense", "warned"]) $(id).addEventListener("input", refresh);
$("copy").addEventListener("click", copyMarked);
document.addEventListener("keydown", onKey);
addEventListener("hashchange", followAddress);
listKey();
refresh();
followAddress();
