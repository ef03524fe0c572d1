"use strict";
/* The axis of seconds and the waveform. */
function drawAxis() {
  const [pen, width, height] = canvas($("axis")), x = place(width), [start, end] = state.view;
  const steps = [.1, .2, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
  pen.fillStyle = pen.strokeStyle = css("--soft");
  pen.font = "12px system-ui, sans-serif";
  const room = pen.measureText(time(end, 0)).width + 22;
  const step = steps.find((s) => s >= state.video.segment_seconds && (end - start) / s * room <= width) ?? 14400;
  for (let i = Math.ceil(start / step - 1e-6); i * step <= end + 1e-6; i++) {
    const at = x(i * step), text = time(i * step, step < 1 ? 1 : 0), half = pen.measureText(text).width / 2;
    pen.beginPath();
    pen.moveTo(at, height - 5);
    pen.lineTo(at, height);
    pen.stroke();
    pen.fillText(text, Math.min(Math.max(at - half, 0), width - 2 * half), height - 9);
  }
}
function drawWaveform(video) {
  const wave = video.peaks, row = $("sound");
  row.hidden = wave === null && video.tracks.audio !== null;
  let absent = row.querySelector(".absent");
  $("waveform").hidden = wave === null;
  if (wave === null) {
    if (!absent) row.append(absent = element("span", "track absent", ABSENT.audio));
    return;
  }
  absent?.remove();
  const [pen, width, height] = canvas($("waveform")), bins = wave.length / 2, [start, end] = state.view;
  pen.fillStyle = css("--wave");
  for (let px = 0; px < width; px++) {
    const at = (f) => (start + (end - start) * f / width) / video.duration * bins;
    const first = Math.floor(at(px)), last = Math.max(first + 1, Math.floor(at(px + 1)));
    let low = 127, high = -127;
    for (let b = first; b < last && b < bins; b++) { low = Math.min(low, wave[2 * b]); high = Math.max(high, wave[2 * b + 1]); }
    if (high >= low) pen.fillRect(px, height / 2 * (1 - high / video.loudest), 1, Math.max(1, height / 2 * (high - low) / video.loudest));
  }
}
