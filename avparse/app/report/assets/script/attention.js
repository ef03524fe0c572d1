"use strict";
/* Attention in words and in numbers. */
const MOST_COLUMNS = 60; // of the table of attention
function attentionPeak(video, modality, c) {
  const values = attentionShown(video) ? video.tracks[modality]?.a : null, C = video.classes.length;
  if (!values) return "";
  let best = 0;
  for (let s = 1; s < video.segments; s++) if (values[s * C + c] > values[best * C + c]) best = s;
  return `; attention highest at ${seconds(best * video.segment_seconds)}, ${values[best * C + c].toFixed(2)}`;
}
// The numbers behind the strips, for the classes shown and the segments in sight; made only while they are open.
function tabulateAttention(video) {
  const box = $("attention-numbers"), shown = attentionShown(video), unit = video.segment_seconds, C = video.classes.length;
  box.hidden = $("legend-attention").hidden = !shown;
  if (!shown || !box.open) return;
  const first = Math.max(0, Math.floor(state.view[0] / unit + 1e-6)), end = Math.min(video.segments, Math.ceil(state.view[1] / unit - 1e-6));
  const last = Math.min(end, first + MOST_COLUMNS);
  const key = `${state.index} ${state.built} ${first} ${last}`;
  if (state.tabulated === key) return;
  state.tabulated = key;
  $("attention-span").textContent = `A column a segment, named by its onset${last < end ? `; the first ${MOST_COLUMNS} of ${end - first} in sight, zoom in for others` : ""}.`;
  const head = element("tr"), body = element("tbody");
  head.append(element("td"), ...Array.from({ length: last - first }, (_, i) => Object.assign(element("th", "number", brief((first + i) * unit)), { scope: "col" })));
  for (const row of state.rows) for (const modality in row.lanes) {
    const line = element("tr"), values = video.tracks[modality].a;
    if (!values) continue;
    line.append(Object.assign(element("th", "", `${readable(video.classes[row.c])}, ${SENSES[modality]}`), { scope: "row" }));
    for (let s = first; s < last; s++) {
      const cell = element("td", "", values[s * C + row.c].toFixed(2));
      cell.style.setProperty("--share", values[s * C + row.c] / video.attentionMost);
      line.append(cell);
    }
    body.append(line);
  }
  const top = element("thead");
  top.append(head);
  box.querySelector("table").replaceChildren(top, body);
}
