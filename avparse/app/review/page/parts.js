// Which parts of a video may be played for an item: the seconds of doubt, the event, all of it.

const SHORTEST = 2, ROUND = 0.5;

function widened(from, to, duration) {
  const middle = (from + to) / 2, half = Math.max((to - from) / 2, SHORTEST / 2);
  const start = Math.max(0, Math.min(middle - half, duration - 2 * half));
  return [start, Math.min(duration, start + 2 * half)];
}

export function partsOf(item, event) {
  const parts = item.against.map(([from, to], n) => ({
    name: item.against.length > 1 ? `doubt ${n + 1}` : "doubt", span: widened(from, to, item.duration),
  }));
  if (event) {
    const span = [event.onset - ROUND, event.offset + ROUND];
    const around = { name: "event", span: [Math.max(0, span[0]), Math.min(item.duration, span[1])] };
    if (event.held) parts.unshift({ name: event.held === "onset" ? "its begin" : "its end", span: edge(item, event) });
    parts.splice(event.held ? 1 : 0, 0, around);
  }
  return [...parts, { name: "all", span: [0, item.duration] }];
}

function edge(item, event) {
  return widened(event[event.held], event[event.held], item.duration);
}

export function moved(event, item, by) {
  // The event with the edge that is held moved by some seconds; a step of a segment leads to the next border of one.
  const unit = item.segment_seconds, at = event[event.held];
  const whole = Math.abs(Math.abs(by) - unit) < 1e-9 && unit > 0.1;
  const place = at / unit, rounded = Math.round(place);
  const on = Math.abs(place - rounded) < 1e-6 ? rounded : by > 0 ? Math.floor(place) : Math.ceil(place);
  let to = whole ? (on + Math.sign(by)) * unit : at + by;
  to = event.held === "onset" ? Math.min(Math.max(to, 0), event.offset - 0.1) : Math.max(Math.min(to, item.duration), event.onset + 0.1);
  return { ...event, [event.held]: Math.round(1000 * to) / 1000 };
}
