// The review page: shows an item, takes a decision by key or click, and says when it is kept.

import { Items } from "./items.js";
import { Lanes } from "./lanes.js";
import { moved, partsOf } from "./parts.js";
import { Player } from "./player.js";
import { ask, kept, OTHER, SENSE } from "./server.js";
import { State } from "./state.js";

const by = (id) => document.querySelector(`#${id}`);
const FINE = 0.1;
const VERDICTS = { keep: "keep", remove: "remove", other: "other_modality" };

const now = { item: null, event: null, parts: [], part: 0, number: 0, busy: false, work: null, author: "" };
const tab = kept("tab", () => [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(36)).join("-"));
const who = () => ({ author: now.author, tab });
const player = new Player((seconds) => lanes.at(seconds));
const lanes = new Lanes((seconds) => player.seek(seconds));
const items = new Items(
  () => ({ ...who(), modality: document.querySelector("[name=modality]:checked").value, order: by("order").value }),
  (item) => player.prepare(item),
);
const state = new State(who);

function show(item) {
  now.item = item;
  by("question").dataset.number = ++now.number;
  now.event = item && item.onset !== null ? { onset: item.onset, offset: item.offset, held: null } : null;
  by("note").value = "";
  for (const id of ["keep", "remove", "other", "skip"]) by(id).disabled = !item;
  by("moment").hidden = !item;
  if (!item) {
    const open = items.open ? `${items.open} are open, in the hands of others.` : "Everything is decided.";
    by("question").textContent = `Nothing is left for you here. ${open}`;
    by("said").textContent = "";
    by("edges").hidden = true;
    player.shown.pause();
    return;
  }
  by("video-name").textContent = item.video;
  question(item);
  player.show(item);
  lanes.show(item, now.event);
  now.part = 0;
  play();
}

function question(item) {
  const name = document.createElement("b"), sense = SENSE[item.modality], other = SENSE[OTHER[item.modality]];
  name.textContent = item.class.replaceAll("_", " ");
  by("question").style.setProperty("--sense", `var(--${item.modality})`);
  by("question").replaceChildren("Is ", name, now.event ? ` ${sense} here?` : ` ${sense} in this video?`);
  const says = now.event ? `Parsed with score ${item.probability.toFixed(2)}.` : [
    item.given ? "The label was given." : "The label was added.", item.kept ? "It is kept." : "It is dropped.",
    item.reason && `Reason: ${item.reason}.`, `Right with probability ${item.probability.toFixed(2)}.`,
  ].filter(Boolean).join(" ");
  by("said").textContent = says;
  by("keep").lastElementChild.textContent = `yes, it is ${sense}`;
  by("remove").lastElementChild.textContent = "no";
  by("other").lastElementChild.textContent = `it is ${other}, not ${sense}`;
  edges();
}

function edges() {
  by("edges").hidden = !now.event;
  if (!now.event) return;
  const shown = ["onset", "offset"].map((edge) => {
    const value = document.createElement("b");
    value.textContent = `${now.event[edge].toFixed(1)} s`;
    value.className = now.event.held === edge ? "held" : "";
    value.id = edge;
    return value;
  });
  by("edges").replaceChildren("From ", shown[0], " to ", shown[1]);
}

function play() {
  now.parts = partsOf(now.item, now.event);
  now.part %= now.parts.length;
  by("loops").replaceChildren(...now.parts.map((part, n) => {
    const button = document.createElement("button"), [from, to] = part.span;
    button.type = "button";
    button.textContent = `${part.name} ${from.toFixed(1)}–${to.toFixed(1)} s`;
    button.setAttribute("aria-pressed", String(n === now.part));
    button.addEventListener("click", () => { now.part = n; play(); });
    return button;
  }));
  player.loop(...now.parts[now.part].span);
}

async function doing(work, waits = false) { // a key that comes while something is done is not for what comes next
  if (now.busy && !waits || !now.author) return;
  const before = now.work;
  now.busy = true;
  now.work = Promise.resolve(before).then(() => told(work));
  const mine = now.work;
  await mine;
  if (now.work === mine) now.busy = false;
}

async function told(work) {
  try {
    await work();
    by("trouble").hidden = true;
  } catch (error) {
    by("trouble").textContent = error.message;
    by("trouble").hidden = false;
  }
}

const advance = async () => show(await items.next(null));

function decide(verdict) {
  return doing(async () => {
    const { item, event } = now;
    if (!item) return;
    const edge = (name) => (event && verdict !== "remove" && event[name] !== item[name] ? event[name] : null);
    const sent = { ...who(), key: item.key, verdict, note: by("note").value, onset: edge("onset"), offset: edge("offset") };
    await ask("/api/decide", sent);
    by("saved").textContent = `Saved: ${item.class.replaceAll("_", " ")}, ${SENSE[item.modality]}: ${verdict.replace("_", " ")}.`;
    await advance();
    state.refresh();
  });
}

function skip() {
  return doing(async () => {
    if (!now.item) return;
    await ask("/api/skip", { ...who(), key: now.item.key, note: by("note").value });
    by("saved").textContent = "Skipped; it comes again at the end.";
    await advance();
  });
}

function undo() {
  return doing(async () => {
    const found = await ask("/api/undo", who());
    if (!found.item) {
      by("saved").textContent = "There is nothing to take back.";
      return;
    }
    if (now.item && now.item.key !== found.item.key) items.back(now.item);
    items.drop(found.item.key);
    show(found.item);
    by("note").value = found.taken_back.note;
    if (now.event) change({ ...now.event, onset: found.taken_back.onset ?? now.event.onset, offset: found.taken_back.offset ?? now.event.offset });
    by("saved").textContent = `Taken back: ${found.taken_back.action.replace("_", " ")}.`;
    state.refresh();
  });
}

function change(event) {
  now.event = event;
  now.part = 0;
  lanes.show(now.item, event);
  edges();
  play();
}

function arrow(way, fine) {
  if (!now.item) return;
  const step = way * (fine ? FINE : now.item.segment_seconds);
  if (now.event?.held) change(moved(now.event, now.item, step));
  else if (player.seconds !== null) player.seek(player.seconds + step);
}

const KEYS = {
  k: () => decide("keep"), r: () => decide("remove"), o: () => decide("other_modality"), s: skip, u: undo,
  n: () => by("note").focus(), m: () => player.mute(), " ": () => player.toggle(),
  l: () => { if (now.item) { now.part += 1; play(); } },
  b: () => now.event && change({ ...now.event, held: now.event.held === "onset" ? null : "onset" }),
  e: () => now.event && change({ ...now.event, held: now.event.held === "offset" ? null : "offset" }),
};

document.addEventListener("keydown", (event) => {
  player.awake();
  if (by("who").open) return;
  if (event.target === by("note")) {
    if (event.key === "Enter" || event.key === "Escape") { event.preventDefault(); by("note").blur(); }
    return;
  }
  const undoing = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
  if (undoing) { event.preventDefault(); undo(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (["SELECT", "INPUT"].includes(event.target.tagName) && event.key.startsWith("Arrow")) return;
  if (event.target.tagName === "BUTTON" && event.key === " ") return;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    event.preventDefault();
    arrow(event.key === "ArrowLeft" ? -1 : 1, event.shiftKey);
    return;
  }
  const action = KEYS[event.key.toLowerCase()];
  if (!action || event.repeat && event.key !== " ") return;
  event.preventDefault();
  action();
});

for (const [id, verdict] of Object.entries(VERDICTS)) by(id).addEventListener("click", () => decide(verdict));
by("skip").addEventListener("click", skip);
by("undo").addEventListener("click", undo);
for (const id of ["modality", "order"]) {
  by(id).addEventListener("change", () => {
    document.activeElement.blur(); // so that keys decide again
    items.clear();
    doing(advance, true);
  });
}
by("author").addEventListener("click", () => { by("name").value = now.author; by("who").showModal(); });
by("who").addEventListener("cancel", (event) => { if (!now.author) event.preventDefault(); });
by("who").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = by("name").value.trim();
  if (!name) return;
  by("who").close();
  begin(name);
});

function begin(author) {
  now.author = author;
  sessionStorage.setItem("author", author);
  by("author").textContent = author;
  items.clear();
  state.refresh();
  return doing(advance, true);
}

async function start() {
  const facts = await ask("/api/start");
  by("where").textContent = facts.where;
  by("warning").textContent = facts.warning;
  by("warning").hidden = !facts.warning;
  for (const line of document.querySelectorAll(".of-events")) line.hidden = facts.kind !== "timelines";
  by("notes").replaceChildren(...facts.notes.map((text) => {
    const note = document.createElement("p");
    note.className = "note";
    note.textContent = text;
    return note;
  }));
  const author = sessionStorage.getItem("author") || facts.author;
  if (author) await begin(author);
  else by("who").showModal();
}

start().catch((error) => {
  by("trouble").textContent = error.message;
  by("trouble").hidden = false;
});
