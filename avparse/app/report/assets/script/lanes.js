"use strict";
/* Two lanes a class: what is heard and what is seen. Only lanes near the window are drawn. */
const ATTENTION_HEIGHT = 7; // pixels of its strip
const DRAWN_AT_ONCE = 8; // rows, before it is known which are near
function attentionShown(video) { return video.attentionMost !== null && $("attention").checked; }
function attentionTop(video) { return video.other ? 40 : 24; } // below the bars, and below those of the other
function laneHeight(video) { return attentionTop(video) + (attentionShown(video) ? ATTENTION_HEIGHT + 1 : -2); }
function isMatched(name) { return readable(name).toLowerCase().includes($("filter").value.trim().toLowerCase()); }
function wanted(video) {
  const found = new Set();
  for (const decoded of [...Object.values(video.own), ...Object.values(state.decoded)]) for (const event of decoded?.events ?? []) found.add(event.c);
  for (const classes of Object.values(video.other?.events ?? {})) classes.forEach((spans, c) => { if (spans.length) found.add(c); });
  for (const name of video.weak_labels ?? []) found.add(video.classes.indexOf(name));
  return video.classes.map((_, c) => c).filter((c) => ($("all").checked || found.has(c)) && isMatched(video.classes[c]));
}
function sensesShown() { return Object.keys(SENSES).filter((modality) => $(SENSES[modality]).checked); }
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.target.lanes) entry.target.lanes.near = entry.isIntersecting;
  later();
}, { rootMargin: "200px" });
function buildRows(video) {
  const classes = wanted(video), senses = sensesShown(), key = `${classes} ${senses} ${attentionShown(video)}`;
  $("empty").hidden = classes.length > 0;
  if (state.rows.length && key === state.built) return;
  state.built = key;
  near.disconnect();
  state.rows = classes.map((c, i) => buildRow(video, c, senses, i < DRAWN_AT_ONCE));
  $("rows").replaceChildren(...state.rows.map((row) => row.box));
  for (const row of state.rows) { row.box.lanes = row; near.observe(row.box); }
}
function buildRow(video, c, senses, isNear) {
  const box = element("div", "row"), name = element("div", "name"), title = readable(video.classes[c]), lanes = {};
  name.append(dot(c), title, element("br"));
  if (video.weak_labels?.includes(video.classes[c])) name.append(element("span", "tag", "weak label"));
  const closed = element("span", "tag"), mute = element("button", "tag mute", "mute");
  mute.type = "button";
  mute.setAttribute("aria-label", `Mute ${title}`);
  mute.title = "Leaves the events of this class out of the list, of n and p, and of the map";
  mute.addEventListener("click", () => toggleMute(c));
  name.append(closed, mute);
  box.append(name);
  for (const modality of senses) {
    box.append(element("span", "sense", SENSES[modality]));
    const gone = absence(video, modality, c), lane = gone ? element("span", "track absent", gone) : element("canvas", "track");
    if (!gone) {
      lane.style.height = `${laneHeight(video)}px`;
      lane.setAttribute("role", "img");
      lane.dataset.class = c;
      lanes[modality] = lane;
    }
    box.append(lane);
  }
  return { c, box, lanes, closed, mute, near: isNear, levels: {}, events: {} };
}
function levelsOf(video, modality, kind, c) {
  const track = video.tracks[modality], cache = track.levels ??= {};
  return cache[`${kind}${c}`] ??= pyramid(track[kind], video.segments, video.classes.length, c, kind === "p" ? 1 : video.attentionMost);
}
function paints() { return { sunk: css("--sunk"), text: css("--text"), soft: css("--soft"), here: css("--here"), there: css("--there"), chroma: css("--chroma"), light: parseFloat(css("--class-light")), strong: parseFloat(css("--event-light")) }; }
const edgesOf = (event) => [event.onset, event.offset];
function drawLane(video, modality, row, paint) {
  const track = video.tracks[modality], [pen, width] = canvas(row.lanes[modality]), x = place(width);
  const end = Math.min(width, x(video.duration)), gap = width * video.segment_seconds / span() > 6 ? 1 : 0;
  const inClass = (light) => `oklch(${light + tier(row.c)}% ${paint.chroma} ${hue(row.c)})`;
  pen.fillStyle = paint.sunk;
  pen.fillRect(0, 0, end, 14);
  shade(pen, width, levelsOf(video, modality, "p", row.c), rgb(inClass(paint.light)), 0, 14);
  if (attentionShown(video) && track.a) {
    pen.fillRect(0, attentionTop(video), end, ATTENTION_HEIGHT);
    shade(pen, width, levelsOf(video, modality, "a", row.c), rgb(paint.text), attentionTop(video), ATTENTION_HEIGHT);
  }
  pen.fillStyle = inClass(paint.strong);
  pen.beginPath();
  for (const [left, right] of merged(row.events[modality], edgesOf, gap, x)) pen.roundRect(left, 16, right - left, 6, right - left > 4 ? 2 : 0);
  pen.fill();
  if (video.other) drawOther(video, modality, row, { pen, x, gap, paint });
}
// The events of the other, outlined, and below them where the two differ: only here high, only there low, both a line.
function drawOther(video, modality, row, { pen, x, gap, paint }) {
  pen.strokeStyle = paint.text;
  pen.lineWidth = 1.25;
  for (const [left, right] of merged(video.other.events[modality][row.c], (span) => span, gap, x)) pen.strokeRect(left + .75, 25, Math.max(1, right - left - 1.5), 4.5);
  const spans = state.differences.spans[modality][row.c] ?? {};
  for (const [kind, colour, top, height] of [["both", paint.soft, 35, 1], ["here", paint.here, 32, 4], ["there", paint.there, 35, 4]]) {
    pen.fillStyle = colour;
    for (const [left, right] of merged(spans[kind] ?? [], (span) => span, 0, x)) pen.fillRect(left, top, right - left, height);
  }
}
function drawAll() {
  const video = state.video, paint = paints();
  drawAxis();
  drawMinimap();
  drawWaveform(video);
  for (const row of state.rows) if (row.near) for (const modality in row.lanes) drawLane(video, modality, row, paint);
  tabulateAttention(video);
  movePlayhead();
}
function describeLanes(video) {
  const kept = $("score").value > 0 ? Number($("score").value) : 0;
  for (const row of state.rows) {
    const shut = [], title = readable(video.classes[row.c]), muted = state.muted.has(row.c);
    for (const modality in SENSES) {
      const decoded = state.decoded[modality];
      row.events[modality] = (decoded ? decoded.byClass[row.c] : []).filter((event) => event.score >= kept);
      if (decoded?.closed[row.c]) shut.push(SENSES[modality]);
      const spans = row.events[modality].slice(0, 20).map((event) => `${seconds(event.onset)} to ${seconds(event.offset)}`).join(", ") || "no event";
      const more = row.events[modality].length > 20 ? ` and ${row.events[modality].length - 20} more` : "";
      row.lanes[modality]?.setAttribute("aria-label", `${title}, ${SENSES[modality]}: ${spans}${more}${attentionPeak(video, modality, row.c)}`);
    }
    row.closed.hidden = !shut.length;
    row.closed.textContent = `${shut.join(", ")}: ${video.gate ? "gate closed" : "kept out"}`;
    row.mute.setAttribute("aria-pressed", muted);
    row.box.classList.toggle("muted", muted);
  }
  $("legend-closed").hidden = state.rows.every((row) => row.closed.hidden);
}
