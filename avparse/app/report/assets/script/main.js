"use strict";
/* What the reader does, by controls and by keys. */
const KEYS = {
  " ": playOrPause, ArrowLeft: () => step(-1), ArrowRight: () => step(1), n: () => walk(1), p: () => walk(-1),
  N: () => turn(1), P: () => turn(-1), "+": () => zoom(2), "=": () => zoom(2), "-": () => zoom(1 / 2), 0: () => look(0, Infinity),
  m: muteMarked, M: unmuteAll, h: () => $("heard").click(), s: () => $("seen").click(), "/": () => $("filter").focus(),
  d: () => { if (state.video.other) listKind(state.listed === "events" ? "differences" : "events"); },
  l: copyMoment, t: nextTheme, "?": openHelp,
};
function muteMarked() {
  const row = state.rows.find((one) => one.box.contains(document.activeElement));
  if (row) toggleMute(row.c);
  else if (list.current) toggleMute(list.current.c);
  else tell("Mark an event first (n), or press mute beside a class");
}
function unmuteAll() {
  state.muted.clear();
  refresh();
}
function copyMoment() {
  const at = position().toFixed(1);
  copyLink(report.videos.length > 1 ? { video: state.video.video, t: at } : { t: at });
}
function onKey(event) {
  if (event.key === "Escape" && event.target.id === "filter") event.target.blur();
  if (isTaken(event) || (event.key === " " && event.target.closest?.("button, summary, a"))) return;
  const act = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
  if (!act) return;
  event.preventDefault();
  event.stopPropagation();
  act();
}
// Goes where the address says: #video=NAME chooses a video, #t=12.3 seeks.
function followAddress() {
  const { video, t } = asked(), index = report.videos.findIndex((one) => one.video === video);
  if (index >= 0 && index !== state.index) choose(index);
  const at = Number.parseFloat(t);
  if (!Number.isFinite(at)) return;
  show(clamp(at, 0, state.video.duration));
  if (Math.abs(at - position()) > .06) seek(at);
}
function listen() {
  report.videos.forEach((video, i) => $("choice").append(new Option(video.video, i)));
  $("choice").addEventListener("change", () => choose($("choice").selectedIndex));
  $("previous").addEventListener("click", () => turn(-1));
  $("next").addEventListener("click", () => turn(1));
  $("threshold").addEventListener("input", () => { state.threshold = Number($("threshold").value); later(refresh); });
  $("reset").addEventListener("click", () => { state.threshold = null; refresh(); });
  for (const id of ["score", "filter"]) $(id).addEventListener("input", () => later(refresh));
  for (const id of ["all", "attention", "heard", "seen"]) $(id).addEventListener("change", refresh);
  for (const kind of ["events", "differences"]) $(`list-${kind}`).addEventListener("click", () => listKind(kind));
  $("attention-numbers").addEventListener("toggle", () => tabulateAttention(state.video));
  $("zoom-in").addEventListener("click", () => zoom(2));
  $("zoom-out").addEventListener("click", () => zoom(1 / 2));
  $("zoom-fit").addEventListener("click", () => look(0, Infinity));
  $("copy").addEventListener("click", copyMoment);
  listenHeads($("list").firstElementChild, state.sort, listItems);
  $("list").addEventListener("scroll", () => { if (state.video) markNow(); });
  document.addEventListener("keydown", onKey, true);
  document.addEventListener("theme", () => later());
  addEventListener("hashchange", followAddress);
  new ResizeObserver(() => later()).observe($("tracks"));
}
listenShell();
listen();
listenPlayer();
listenPointer();
listenMinimap();
choose(0);
followAddress();
