"use strict";
/* Where the player is, and what happens there. */
const player = $("player");
function lead() { // what the player shows at second 0: players either keep the file's own clock, or begin at 0; their duration tells which
  const { lead, duration } = state.video, beyond = player.duration - duration;
  return Math.abs(beyond - lead) < Math.abs(beyond) ? lead : 0;
}
function position() { return state.playable && player.readyState > 0 ? Math.max(0, player.currentTime - lead()) : state.cursor; }
function seek(at) {
  state.cursor = clamp(at, 0, state.video.duration);
  if (state.playable) player.currentTime = state.cursor + lead();
  movePlayhead();
}
function step(direction) {
  const unit = state.video.segment_seconds, at = position() / unit;
  seek((direction > 0 ? Math.floor(at + 1e-3) + 1 : Math.ceil(at - 1e-3) - 1) * unit);
  show(state.cursor);
}
function playOrPause() {
  if (!state.playable) return;
  if (player.paused) player.play(); else player.pause();
}
function movePlayhead() {
  const video = state.video, at = Math.min(position(), video.duration), axis = $("axis"), [start, end] = state.view;
  if (zoomed() && !player.paused && (at < start || at > end)) panTo(at - .05 * (end - start));
  $("playhead").style.transform = `translateX(${axis.offsetLeft + place(axis.clientWidth)(at)}px)`;
  $("playhead").hidden = at < state.view[0] || at > state.view[1];
  $("map-now").style.transform = `translateX(${axis.offsetLeft + at / wholeLength() * axis.clientWidth}px)`;
  $("clock").textContent = seconds(at);
  axis.setAttribute("aria-valuenow", at.toFixed(2));
  const segment = Math.min(video.segments - 1, Math.floor(at / video.segment_seconds + 1e-3));
  if (segment === state.segment) return;
  state.segment = segment;
  axis.setAttribute("aria-valuetext", seconds(at));
  markNow();
  $("now").replaceChildren(...Object.keys(SENSES).map((modality) => {
    const decoded = state.decoded[modality], line = element("span"), C = video.classes.length;
    const names = decoded ? video.classes.filter((_, c) => decoded.on[segment * C + c]).map(readable) : [ABSENT[modality]];
    line.append(element("span", "sense-word", SENSES[modality]), element(decoded ? "b" : "i", "", names.join(", ") || "–"));
    return line;
  }));
}
function markNow() {
  const at = (state.segment + .5) * state.video.segment_seconds;
  for (const row of $("events").rows) if (row.item) row.classList.toggle("now", row.item.onset <= at && at < row.item.offset);
}
function follow() {
  movePlayhead();
  if (!player.paused && !player.ended) requestAnimationFrame(follow);
}
function listenPlayer() {
  player.addEventListener("play", follow);
  player.addEventListener("loadedmetadata", () => { if (lead() > 0) seek(state.cursor); });
  for (const name of ["seeked", "timeupdate", "loadedmetadata"]) player.addEventListener(name, movePlayhead);
  player.addEventListener("error", () => {
    if (!player.hasAttribute("src")) return;
    state.playable = false;
    const media = state.video.media;
    say("player-note", media.embedded ? "This browser cannot play the format of this video; the timeline works without it." : `The video cannot be played: ${media.link} is not there, or this browser does not know its format. The timeline works without it.`);
  });
}
