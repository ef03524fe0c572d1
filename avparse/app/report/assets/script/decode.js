"use strict";
/* Decoding by the run's own rule, live: what the library does, in the browser. */
function runsOf(on, count, classes, c) {
  const found = [];
  for (let s = 0, first = -1; s <= count; s++) {
    const active = s < count && on[s * classes + c];
    if (active && first < 0) first = s;
    if (!active && first >= 0) { found.push([first, s]); first = -1; }
  }
  return found;
}
function eventOf(video, modality, c, first, end, values = {}) {
  const onset = first * video.segment_seconds, offset = Math.min(end * video.segment_seconds, video.duration);
  return { c, modality, first, end, onset, offset, score: 1, name: readable(video.classes[c]), ...values };
}
// common: one threshold for all classes, or null for the run's own.
function decode(video, modality, common) {
  const track = video.tracks[modality], C = video.classes.length, T = video.segments;
  if (!track) return null;
  if (common === null && track.stored) return storedEvents(video, modality);
  const on = new Uint8Array(T * C), closed = new Uint8Array(C), byClass = [];
  for (let c = 0; c < C; c++) {
    const threshold = Math.fround(common ?? video.thresholds[c]); // probabilities are float32
    let reached = 0, kept = 0;
    const reaches = (s) => track.p[s * C + c] >= threshold && track.p[s * C + c] > 0;
    for (let s = 0; s < T; s++) reached += reaches(s);
    for (const [first, end] of track.open[c]) for (let s = first; s < end; s++) if (reaches(s)) { on[s * C + c] = 1; kept++; }
    closed[c] = kept < reached ? 1 : 0;
    byClass[c] = runsOf(on, T, C, c).map(([first, end]) => {
      let sum = 0;
      for (let s = first; s < end; s++) sum += track.p[s * C + c];
      return eventOf(video, modality, c, first, end, { score: sum / (end - first) });
    });
  }
  return { on, closed, byClass, events: byClass.flat() };
}
// Events that follow no rule of segments, such as those with edges that a person moved: shown as they are.
function storedEvents(video, modality) {
  const C = video.classes.length, T = video.segments, unit = video.segment_seconds;
  const on = new Uint8Array(T * C), byClass = video.classes.map(() => []);
  for (const [c, onset, offset, score] of video.tracks[modality].stored) {
    const first = Math.floor(onset / unit + 1e-3), end = Math.min(T, Math.max(first + 1, Math.ceil(offset / unit - 1e-3)));
    for (let s = first; s < end; s++) on[s * C + c] = 1;
    byClass[c].push(eventOf(video, modality, c, first, end, { onset, offset, score }));
  }
  return { on, closed: new Uint8Array(C), byClass, events: byClass.flat() };
}
// F of one video as the published evaluation has it: class by class, averaged over those that are there or predicted.
function agreement(video, on, truth) {
  const C = video.classes.length;
  let total = 0, present = 0;
  for (let c = 0; c < C; c++) {
    let both = 0, either = 0;
    for (let i = c; i < on.length; i += C) { both += on[i] & truth[i]; either += on[i] + truth[i]; }
    if (either) { total += 2 * both / either; present++; }
  }
  return present ? total / present : 1;
}
function and(a, b) { return a.map((value, i) => value & b[i]); }
