"use strict";
/* The seconds in sight: zooming and panning, and the small map of the whole video. */
function wholeLength() { return Math.max(state.video.duration, 1e-3); }
function span() { return state.view[1] - state.view[0]; }
function zoomed() { return span() < wholeLength() - 1e-6; }
function look(start, size) {
  const whole = wholeLength(), least = Math.min(whole, 10 * state.video.segment_seconds);
  size = clamp(size, least, whole);
  const from = clamp(start, 0, whole - size);
  state.view = [from, from + size];
  $("zoom-in").disabled = size <= least + 1e-6;
  $("zoom-out").disabled = $("zoom-fit").disabled = !zoomed();
  later();
}
function panTo(start) { look(start, span()); }
// The second at stays where it is.
function zoomAt(factor, at) {
  const size = clamp(span() / factor, Math.min(wholeLength(), 10 * state.video.segment_seconds), wholeLength());
  look(at - (at - state.view[0]) / span() * size, size);
}
function zoom(factor) { // around the playhead, if it is in sight
  const at = position(), [start, end] = state.view, centre = at >= start && at <= end ? at : (start + end) / 2;
  const size = span() / factor;
  look(centre - size / 2, size);
}
function show(at) { if (at < state.view[0] || at > state.view[1]) panTo(at - .1 * span()); }
let due = null;
function later(work = drawAll) {
  if (due === null) requestAnimationFrame(() => { const run = due; due = null; run(); });
  if (due !== refresh) due = work; // refreshing draws as well
}

/* ---- the map: how many events there are, heard above and seen below, and the part in sight ---- */
const map = { drawn: null, key: "" };
function density(width, height) {
  const key = `${state.index} ${state.refreshed} ${width} ${height} ${document.documentElement.dataset.theme}`;
  if (map.key === key) return map.drawn;
  const drawn = document.createElement("canvas"), pen = drawn.getContext("2d"), half = height / 2, bins = new Uint16Array(2 * width);
  drawn.width = width;
  drawn.height = height;
  for (const event of state.shown) {
    const first = Math.floor(event.onset / wholeLength() * width), last = Math.min(width - 1, Math.floor(event.offset / wholeLength() * width));
    for (let x = first; x <= last; x++) bins[2 * x + (event.modality === "audio" ? 0 : 1)]++;
  }
  const most = bins.reduce((a, b) => Math.max(a, b), 1);
  pen.fillStyle = css("--wave");
  for (let x = 0; x < width; x++) for (const side of [0, 1]) {
    const tall = Math.round(bins[2 * x + side] / most * (half - 1));
    if (tall) pen.fillRect(x, side ? half + 1 : half - tall, 1, tall);
  }
  Object.assign(map, { drawn, key });
  return drawn;
}
function drawMinimap() {
  if ($("minimap-row").hidden) return;
  const target = $("minimap"), [pen, width, height] = canvas(target), ratio = target.width / width;
  pen.fillStyle = css("--sunk");
  pen.fillRect(0, 0, width, height);
  pen.drawImage(density(target.width, target.height), 0, 0, width, height);
  const left = state.view[0] / wholeLength() * width, size = span() / wholeLength() * width;
  pen.fillStyle = pen.strokeStyle = css("--accent");
  pen.globalAlpha = .16;
  pen.fillRect(left, 0, size, height);
  pen.globalAlpha = 1;
  pen.lineWidth = Math.max(1.5, 2 / ratio);
  pen.strokeRect(left + 1, 1, Math.max(2, size - 2), height - 2);
  target.setAttribute("aria-valuemax", Math.max(0, wholeLength() - span()).toFixed(2));
  target.setAttribute("aria-valuenow", state.view[0].toFixed(2));
  target.setAttribute("aria-valuetext", `${seconds(state.view[0])} to ${seconds(state.view[1])}`);
}
function listenMinimap() {
  const target = $("minimap");
  const centre = (event) => {
    const box = target.getBoundingClientRect();
    panTo((event.clientX - box.left) / box.width * wholeLength() - span() / 2);
  };
  target.addEventListener("pointerdown", (event) => { if (!event.button) { target.setPointerCapture(event.pointerId); centre(event); } });
  target.addEventListener("pointermove", (event) => { if (target.hasPointerCapture(event.pointerId)) centre(event); });
  target.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -.1, ArrowRight: .1, ArrowDown: -.1, ArrowUp: .1, PageDown: -.9, PageUp: .9, Home: -Infinity, End: Infinity };
    if (!(event.key in moves)) return;
    event.preventDefault();
    panTo(clamp(state.view[0] + moves[event.key] * span(), 0, wholeLength()));
  });
}
