"use strict";
/* Pointer on the lanes: a click seeks, a drag pans when zoomed and scrubs otherwise, two fingers or Ctrl and the wheel
   zoom, and resting shows the numbers. On the axis and the waveform a drag always scrubs and the plain wheel zooms. */
const CLICK = 4; // pixels that a pointer may move in a click
const pointers = new Map();
let drag = null;
function timeAt(event) {
  const box = $("axis").getBoundingClientRect(), [start, end] = state.view;
  return start + (event.clientX - box.left) / box.width * (end - start);
}
function isScrubber(target) { return target.id === "axis" || target.id === "waveform"; }
function press(event) {
  if (event.button || !event.target.closest("canvas, .absent") || event.target.id === "minimap") return;
  pointers.set(event.pointerId, event);
  event.target.setPointerCapture(event.pointerId);
  drag = { x: event.clientX, from: state.view[0], moved: false, pans: zoomed() && !isScrubber(event.target) };
  if (!drag.pans) seek(timeAt(event));
}
function pinch(event) {
  const others = [...pointers.values()].filter((other) => other.pointerId !== event.pointerId), before = pointers.get(event.pointerId);
  const apart = (a, b) => Math.max(20, Math.abs(a.clientX - b.clientX));
  zoomAt(apart(event, others[0]) / apart(before, others[0]), (timeAt(event) + timeAt(others[0])) / 2);
  drag.moved = true;
}
function move(event) {
  explain(event);
  if (!pointers.has(event.pointerId)) return;
  if (pointers.size > 1) pinch(event);
  else if (drag.pans) {
    drag.moved ||= Math.abs(event.clientX - drag.x) > CLICK;
    if (drag.moved) panTo(drag.from - (event.clientX - drag.x) / $("axis").clientWidth * span());
  } else seek(timeAt(event));
  pointers.set(event.pointerId, event);
}
function release(event) {
  if (!pointers.delete(event.pointerId)) return;
  if (drag?.pans && !drag.moved && event.type === "pointerup") seek(timeAt(event));
}
function roll(event) {
  const [dx, dy] = event.shiftKey ? [event.deltaY || event.deltaX, 0] : [event.deltaX, event.deltaY];
  const zooms = event.ctrlKey || event.metaKey || (event.target.closest("#head, #sound, #minimap-row") && Math.abs(dy) > Math.abs(dx));
  if (zooms) zoomAt(Math.exp(-clamp(event.deltaY, -60, 60) / 150), clamp(timeAt(event), ...state.view));
  else if (zoomed() && Math.abs(dx) > Math.abs(dy)) panTo(state.view[0] + dx / $("axis").clientWidth * span());
  else return;
  event.preventDefault();
}
function explain(event) {
  const tip = $("tip"), lane = event.target.closest?.("canvas.track"), at = timeAt(event), video = state.video;
  tip.hidden = !lane || lane.id === "minimap" || event.pointerType === "touch" || at < 0 || at > video.duration;
  if (tip.hidden) return;
  const segment = Math.min(video.segments - 1, Math.floor(at / video.segment_seconds));
  tip.textContent = (lane.dataset.class === undefined ? [seconds(at)] : numbersAt(video, Number(lane.dataset.class), segment)).join("\n");
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18}px`;
}
function numbersAt(video, c, segment) {
  const unit = video.segment_seconds, i = segment * video.classes.length + c;
  const lines = [`${readable(video.classes[c])}, ${time(segment * unit)}–${seconds(Math.min((segment + 1) * unit, video.duration))}`];
  for (const modality in SENSES) {
    const track = video.tracks[modality], gone = absence(video, modality, c);
    if (gone) { lines.push(`${SENSES[modality]}: ${gone}`); continue; }
    const truth = video.truthOn[modality] ? `, truth: ${video.truthOn[modality][i] ? "yes" : "no"}` : "";
    const value = track.g?.[track.g.length > video.classes.length ? i : c];
    const gate = value === undefined ? "" : `, gate ${value.toFixed(2)} ${value >= track.gate_threshold[c] ? "≥" : "<"} ${+track.gate_threshold[c].toFixed(3)}`;
    const attention = attentionShown(video) && track.a ? `, attention ${track.a[i].toFixed(2)}` : "";
    const threshold = state.threshold ?? video.thresholds[c];
    const score = `${track.p[i].toFixed(2)} ${track.p[i] >= Math.fround(threshold) ? "≥" : "<"} ${+threshold.toFixed(3)}`;
    lines.push(`${SENSES[modality]} ${score}${state.decoded[modality].on[i] ? " (event)" : ""}${truth}${gate}${attention}`);
  }
  return lines;
}
function listenPointer() {
  const tracks = $("tracks");
  tracks.addEventListener("pointerdown", press);
  tracks.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) tracks.addEventListener(name, release);
  tracks.addEventListener("pointerleave", () => { $("tip").hidden = true; });
  tracks.addEventListener("wheel", roll, { passive: false });
}
