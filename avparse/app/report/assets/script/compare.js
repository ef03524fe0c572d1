"use strict";
/* Differences of two sets of events: those of this page, and the truth or those of another run. */
const SHORTEST = 1e-3; // seconds; files hold milliseconds
// Spans [onset, offset, kind] of two ordered lists of events without overlaps; kind is "here", "there" or "both".
function spansOf(here, there) {
  const edges = [];
  for (const event of here) edges.push([event.onset, 1, 0], [event.offset, -1, 0]);
  for (const [onset, offset] of there) edges.push([onset, 0, 1], [offset, 0, -1]);
  edges.sort((a, b) => a[0] - b[0]);
  const spans = [];
  let inHere = 0, inThere = 0, from = 0;
  for (const [at, changeHere, changeThere] of edges) {
    const kind = inHere && inThere ? "both" : inHere ? "here" : inThere ? "there" : "";
    if (kind && at - from > SHORTEST) {
      const last = spans.at(-1);
      if (last && last[2] === kind && from - last[1] <= SHORTEST) last[1] = at; else spans.push([from, at, kind]);
    }
    inHere += changeHere;
    inThere += changeThere;
    from = at;
  }
  return spans;
}
function meet(a, b) { return Math.min(a[1], b[1]) - Math.max(a[0], b[0]) > SHORTEST; }
function lonely(ones, others) {
  let i = 0, count = 0;
  for (const one of ones) {
    while (i < others.length && others[i][1] <= one[0] + SHORTEST) i++;
    if (i >= others.length || !meet(one, others[i])) count++;
  }
  return count;
}
// Per modality and class the spans, the list of differences, and what the summary says.
function compareWith(video, decoded) {
  const spans = {}, items = [], sum = { both: 0, here: 0, there: 0, onlyHere: 0, onlyThere: 0 };
  for (const modality in SENSES) {
    spans[modality] = [];
    for (const c of video.other.compared[modality]) {
      const here = decoded[modality]?.byClass[c] ?? [], there = video.other.events[modality][c];
      const found = spans[modality][c] = { both: [], here: [], there: [] };
      for (const [onset, offset, kind] of spansOf(here, there)) {
        found[kind].push([onset, offset]);
        sum[kind] += offset - onset;
        if (kind !== "both") items.push({ c, modality, onset, offset, kind, score: kind, name: readable(video.classes[c]) });
      }
      const own = here.map((event) => [event.onset, event.offset]);
      sum.onlyHere += lonely(own, there);
      sum.onlyThere += lonely(there, own);
    }
  }
  return { spans, items, sum };
}
function summaryOf(video, sum) {
  const whole = sum.both + sum.here + sum.there, label = video.other.label, at = (s) => `${s.toFixed(1)} s`;
  if (!whole) return ["No event here and none in ", label, "."];
  return ["", `${Math.round(100 * sum.both / whole)} %`, " of the seconds agree: ", at(sum.both), " in both, ", at(sum.here), " only here, ", at(sum.there),
    ` only in ${label}. Events only here: `, String(sum.onlyHere), `, only in ${label}: `, String(sum.onlyThere), "."];
}
