"use strict";
/* The data of a video, unpacked when it is shown for the first time, and what is said of it. */
const ABSENT = { audio: "no audio in this file", visual: "no picture in this file" };
const UNJUDGED = "no network judges this";
const report = JSON.parse($("data").textContent);
// threshold: null is the run's own. view: the seconds in sight. decoded: per modality what decode() returns.
// shown: events that pass the filter. differences: what compareWith() returns, or null. muted: classes, by number.
const state = {
  index: 0, video: null, threshold: null, decoded: {}, shown: [], differences: null, muted: new Set(), rows: [],
  cursor: 0, playable: false, view: [0, 1], segment: -1, sort: ["onset", 1], listed: "events",
};
const urls = new Map(); // of embedded videos, by number
function time(seconds, digits = 1) { return clockTime(seconds, digits, state.video.duration); }
function brief(seconds) { return time(seconds, Math.abs(seconds - Math.round(seconds)) < .05 ? 0 : 1); }
function seconds(value) { return `${time(value)}${state.video.duration < 60 ? " s" : ""}`; }
function floats(base64) { return base64 === null ? null : new Float32Array(bytes(base64).buffer); }
function prepare(video) {
  if (video.ready) return video;
  const size = video.segments * video.classes.length;
  for (const track of Object.values(video.tracks)) {
    if (!track) continue;
    track.p = floats(track.probabilities);
    track.a = floats(track.attention);
    track.g = floats(track.gate); // one a class, or one a segment and class
    track.probabilities = track.attention = track.gate = null;
  }
  const attended = Object.values(video.tracks).filter((track) => track?.a);
  // One scale for both modalities, so that an even spread looks faint; null: this parser has no attention.
  video.attentionMost = attended.length ? attended.reduce((most, track) => track.a.reduce((a, b) => Math.max(a, b), most), 1e-6) : null;
  video.truthOn = {};
  for (const [modality, classes] of Object.entries(video.truth ?? {})) {
    const on = video.truthOn[modality] = new Uint8Array(size);
    classes.forEach((runs, c) => { for (const [first, end] of runs) for (let s = first; s < end; s++) on[s * video.classes.length + c] = 1; });
  }
  video.peaks = video.waveform === null ? null : new Int8Array(bytes(video.waveform).buffer);
  video.loudest = Math.max(6, ...(video.peaks ?? []).map(Math.abs)); // quiet sound fills the height too, silence does not
  video.own = Object.fromEntries(Object.keys(SENSES).map((modality) => [modality, decode(video, modality, null)]));
  video.ready = true;
  return video;
}
// Why a lane has no values; empty where it has.
function absence(video, modality, c) {
  const track = video.tracks[modality];
  return !track ? ABSENT[modality] : track.unjudged.includes(c) ? UNJUDGED : "";
}
function source(index, media) {
  if (!media || !media.embedded) return media ? media.url : null;
  if (!urls.has(index)) {
    const [head, content] = $(`media-${index}`).textContent.split(",");
    urls.set(index, URL.createObjectURL(new Blob([bytes(content)], { type: head.slice(5, head.indexOf(";")) })));
  }
  return urls.get(index);
}
function choose(index) {
  player.pause();
  const video = prepare(report.videos[index]), media = video.media;
  Object.assign(state, { index, video, threshold: null, cursor: 0, segment: -1, playable: media !== null, rows: [], listed: video.other?.asked ? "differences" : "events" });
  state.muted.clear();
  list.current = null;
  $("choice").selectedIndex = index;
  $("previous").disabled = !report.home && index === 0;
  $("next").disabled = !report.home && index === report.videos.length - 1;
  describe(video);
  player.hidden = media === null;
  player.classList.toggle("sound-only", video.tracks.visual === null);
  const url = source(index, media);
  if (url === null) player.removeAttribute("src"); else player.src = url;
  player.load();
  look(0, Infinity);
  refresh();
}
function turn(direction) { // to the next video, or the one before
  if (report.home) location.href = `${report.home}&step=${direction}`;
  else if (report.videos[state.index + direction]) choose(state.index + direction);
}
function describe(video) {
  const media = video.media;
  $("video-name").textContent = video.video;
  $("facts").textContent = `${seconds(video.duration)} · ${video.segments} segments of ${video.segment_seconds} s`;
  say("player-note", media === null ? "The video file is not part of this page; the timeline is." : media.embedded ? "" : `The video is not inside this page, which stays small so; it is read from ${media.link}. Keep both together.`);
  say("media-warnings", video.warnings.length ? `Not everything of this file can be trusted: ${video.warnings.join("; ")}.` : "");
  say("video-note", [video.note, video.only ? `Only these classes were allowed: ${video.only.map(readable).join(", ") || "none"}.` : ""].filter(Boolean).join(" "));
  $("differs").hidden = !Object.values(video.tracks).some((track) => track?.differs);
  $("class-count").textContent = video.classes.length;
  $("attention-choice").hidden = video.attentionMost === null;
  $("attention-most").textContent = (video.attentionMost ?? 0).toFixed(2);
  $("zoom").hidden = $("minimap-row").hidden = video.segments <= 20;
  for (const part of document.querySelectorAll(".compared")) part.hidden = !video.other;
  $("legend-there-name").textContent = video.other?.label ?? "";
  say("other-told", video.other?.told ?? "");
  describeRule(video);
}
function ownThreshold(video) {
  const low = Math.min(...video.thresholds), high = Math.max(...video.thresholds);
  return low === high ? low.toFixed(Math.abs(low * 100 - Math.round(low * 100)) < 1e-4 ? 2 : 4) : `${low.toFixed(2)}–${high.toFixed(2)} by class`;
}
function describeRule(video) {
  const gate = { union: "the video-level probability of the class", own: "the modality’s own video-level probability of the class", mixed: "the video-level probability of the class (for sound) or its visual one (for the picture)" }[video.gate];
  $("rule").textContent = gate
    ? `The rule of this run: a class is on in a segment where its probability reaches the segment threshold (${ownThreshold(video)}) and ${gate} reaches the gate’s. The slider changes the first of the two and leaves the gate as it was.`
    : `The rule of these events is not known. They are shown as they were stored; the threshold (${ownThreshold(video)}) is the lowest probability in an event of the class. The slider decodes by another one, and keeps out what the stored events left out above theirs.`;
  $("reset").title = gate ? `Back to the run’s threshold, ${ownThreshold(video)}` : "Back to the events as they were stored";
}
