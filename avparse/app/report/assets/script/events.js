"use strict";
/* The list of events or of differences, what the filter leaves of them, and the figures above the lanes. */
const ROW_HEIGHT = 30;
const list = new LongTable($("list"), $("events"), ROW_HEIGHT, cellsOf, goTo);
function overlap(event) {
  const unit = state.video.segment_seconds, others = state.decoded[event.modality === "audio" ? "visual" : "audio"]?.byClass[event.c] ?? [];
  const shared = others.filter((o) => o.first < event.end && o.end > event.first).map((o) => [Math.max(o.first, event.first), Math.min(o.end, event.end)]);
  if (!shared.length) return "";
  if (shared[0][0] === event.first && shared[0][1] === event.end) return "both";
  return `both ${shared.map(([a, b]) => `${brief(a * unit)}\u2060–\u2060${brief(Math.min(b * unit, state.video.duration))}`).join(", ")}`;
}
function whereOf(item) { return item.kind === "here" ? "only here" : `only in ${state.video.other.label}`; }
function cellsOf(item) {
  const at = state.video.duration < 60 || item.kind ? time : brief, name = element("td"), sense = element("td", "", SENSES[item.modality]);
  name.append(dot(item.c), item.name);
  name.title = item.name;
  const both = item.kind ? "" : overlap(item);
  if (both) sense.append(" ", element("span", "soft both", both));
  sense.title = sense.textContent;
  const onset = element("td", "number"), go = element("button", "go", at(item.onset));
  go.type = "button";
  go.setAttribute("aria-label", `Go to ${seconds(item.onset)}, ${item.name} ${SENSES[item.modality]}${item.kind ? `, ${whereOf(item)}` : ""}`);
  onset.append(go);
  const last = item.kind ? element("td", `number ${item.kind}`, item.kind === "here" ? "here" : state.video.other.label) : element("td", "number", item.score.toFixed(2));
  return [name, sense, onset, element("td", "number", at(item.offset)), last];
}
function passes(item) {
  return !state.muted.has(item.c) && $(SENSES[item.modality]).checked && isMatched(item.name) && (item.kind !== undefined || item.score >= Number($("score").value));
}
function sorted(items) {
  const [key, direction] = state.sort;
  return [...items].sort((a, b) => direction * compare(a[key], b[key]) || a.onset - b.onset || a.c - b.c || compare(a.modality, b.modality));
}
function listItems() {
  const differences = state.differences?.items.filter(passes) ?? [], all = state.decoded.audio?.events.length ?? 0;
  const many = all + (state.decoded.visual?.events.length ?? 0), showsEvents = state.listed === "events";
  $("score-head").textContent = showsEvents ? "Score" : "Only in";
  list.show(sorted(showsEvents ? state.shown : differences));
  for (const kind of ["events", "differences"]) $(`list-${kind}`).setAttribute("aria-pressed", state.listed === kind);
  $("differences-count").textContent = differences.length;
  say("list-empty", list.items.length ? "" : !showsEvents ? "No difference." : many ? "No event passes the filter." : "No event reaches the threshold.");
  $("shown-events").textContent = showsEvents && state.shown.length < many ? `${state.shown.length} of ${many}` : "";
}
function listKind(kind) {
  state.listed = kind;
  list.current = null;
  listItems();
}
function goTo(item) {
  show(item.onset);
  seek(item.onset);
  list.mark(item);
}
// To the next item of the list, from the one that is marked while the playhead is on it, else from the playhead.
function walk(direction) {
  const items = list.items, marked = items.indexOf(list.current), here = position();
  if (!items.length) return;
  let next = marked >= 0 && Math.abs(items[marked].onset - here) < .05 ? items[marked + direction] : null;
  if (next === null) {
    const ahead = items.filter((item) => (direction > 0 ? item.onset > here - 1e-3 : item.onset < here - 1e-3));
    next = ahead.reduce((best, item) => (best && direction * (best.onset - item.onset) <= 0 ? best : item), undefined);
  }
  if (next) goTo(next); else tell(direction > 0 ? "That was the last" : "That was the first");
}
function toggleMute(c) {
  if (!state.muted.delete(c)) state.muted.add(c);
  refresh();
}
function showFigures(video) {
  const { audio, visual } = state.decoded, count = (decoded) => decoded?.events.length ?? 0;
  strong($("counts"), ["", plural(count(audio) + count(visual), "event"), `: ${count(audio)} heard, ${count(visual)} seen`]);
  const truth = video.truthOn, parts = ["F by segment:"];
  const add = (word, value) => { parts[parts.length - 1] += ` ${word} `; parts.push((100 * value).toFixed(1), ""); };
  if (audio && truth.audio) add("heard", agreement(video, audio.on, truth.audio));
  if (visual && truth.visual) add("seen", agreement(video, visual.on, truth.visual));
  if (audio && visual && truth.audio && truth.visual) add("both", agreement(video, and(audio.on, visual.on), and(truth.audio, truth.visual)));
  strong($("agreement"), parts.length > 1 ? parts : []);
  strong($("compared"), state.video.other?.asked ? summaryOf(video, state.differences.sum) : []);
}
function refresh() {
  const video = state.video;
  for (const modality in SENSES) state.decoded[modality] = state.threshold === null ? video.own[modality] : decode(video, modality, state.threshold);
  const shown = state.threshold ?? video.thresholds.reduce((a, b) => a + b, 0) / video.thresholds.length;
  if (state.threshold === null) $("threshold").value = shown;
  $("threshold-value").textContent = state.threshold === null ? ownThreshold(video) : shown.toFixed(2);
  $("score-value").textContent = Number($("score").value).toFixed(2);
  $("reset").disabled = state.threshold === null;
  state.differences = video.other ? compareWith(video, state.decoded) : null;
  state.shown = Object.values(state.decoded).flatMap((decoded) => decoded?.events ?? []).filter(passes);
  state.refreshed = (state.refreshed ?? 0) + 1;
  buildRows(video);
  describeLanes(video);
  listItems();
  showFigures(video);
  state.segment = -1;
  drawAll();
}
