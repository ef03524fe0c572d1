"use strict";
/* Drawing of lanes: work grows with the pixels of a lane, not with the segments or the events behind them. */
function canvas(target) {
  const ratio = window.devicePixelRatio || 1, width = target.clientWidth, height = target.clientHeight;
  const wide = Math.round(width * ratio), high = Math.round(height * ratio), pen = target.getContext("2d");
  if (target.width !== wide || target.height !== high) { target.width = wide; target.height = high; }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return [pen, width, height];
}
function place(width) {
  const [start, end] = state.view;
  return (at) => (at - start) / (end - start) * width;
}
// Maxima of a class as bytes: level k has the highest of 2^k segments each, so that any stretch costs a few look-ups.
function pyramid(values, count, classes, c, most) {
  let level = new Uint8Array(count);
  for (let s = 0; s < count; s++) level[s] = Math.min(255, Math.round(values[s * classes + c] / most * 255));
  const levels = [level];
  while (level.length > 1) {
    const next = new Uint8Array((level.length + 1) >> 1);
    for (let i = 0; i < next.length; i++) next[i] = Math.max(level[2 * i], 2 * i + 1 < level.length ? level[2 * i + 1] : 0);
    levels.push(level = next);
  }
  return levels;
}
function highest(levels, first, end) {
  const k = Math.max(0, 30 - Math.clz32(end - first)), level = levels[k];
  let most = 0;
  for (let i = first >> k; i <= (end - 1) >> k; i++) if (level[i] > most) most = level[i];
  return most;
}
// One row of pixels that is stretched to the height of the lane.
const strip = document.createElement("canvas"), stripPen = strip.getContext("2d", { willReadFrequently: true });
strip.height = 1;
function shade(pen, width, levels, colour, top, height) {
  const ratio = window.devicePixelRatio || 1, pixels = Math.round(width * ratio), unit = state.video.segment_seconds, [start, end] = state.view;
  if (!pixels) return;
  if (strip.width !== pixels) strip.width = pixels;
  const image = stripPen.createImageData(pixels, 1), data = image.data, step = (end - start) / pixels / unit, from = start / unit;
  const count = levels[0].length, gap = 1 / step / ratio > 6 ? Math.round(ratio) : 0;
  const last = Math.min(pixels, Math.floor((state.video.duration - start) / (end - start) * pixels + 1e-6));
  for (let x = 0; x < last; x++) {
    const first = Math.floor(from + x * step + 1e-6);
    if (first >= count || (gap && Math.floor(from + (x + gap) * step + 1e-6) > first)) continue;
    const value = highest(levels, first, Math.min(count, Math.max(first + 1, Math.floor(from + (x + 1) * step + 1e-6))));
    if (!value) continue;
    data[4 * x] = colour[0];
    data[4 * x + 1] = colour[1];
    data[4 * x + 2] = colour[2];
    data[4 * x + 3] = value;
  }
  stripPen.putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(strip, 0, 0, pixels, 1, 0, top, width, height);
}
// The numbers of a colour that is written in CSS, red, green and blue.
const mixed = new Map(), mixer = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function rgb(colour) {
  if (!mixed.has(colour)) {
    mixer.fillStyle = colour;
    mixer.fillRect(0, 0, 1, 1);
    mixed.set(colour, mixer.getImageData(0, 0, 1, 1).data.slice(0, 3));
  }
  return mixed.get(colour);
}
// Spans that share a pixel are merged. spans are ordered and do not overlap; edges returns [onset, offset] of one.
function merged(spans, edges, gap, x) {
  const [start, end] = state.view, found = [];
  let low = 0, high = spans.length;
  while (low < high) { const middle = (low + high) >> 1; if (edges(spans[middle])[1] <= start) low = middle + 1; else high = middle; }
  for (; low < spans.length; low++) {
    const [onset, offset] = edges(spans[low]);
    if (onset >= end) break;
    const left = x(onset), right = Math.max(left + 2, x(offset) - gap), last = found.at(-1);
    if (last && left <= last[1]) last[1] = Math.max(last[1], right); else found.push([left, right]);
  }
  return found;
}
