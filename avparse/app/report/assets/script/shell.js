"use strict";
/* What the index and the pages of videos share: the theme, the help, links to a moment, sorting by column. */
function listenShell() {
  const theme = $("theme");
  theme.value = chosenTheme();
  theme.addEventListener("change", () => chooseTheme(theme.value));
  $("help-button").addEventListener("click", openHelp);
  $("help-close").addEventListener("click", () => $("help").close());
}
function openHelp() { if (!$("help").open) $("help").showModal(); }
function nextTheme() {
  const theme = $("theme");
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length];
  chooseTheme(theme.value);
  tell(`Theme: ${theme.value}`);
}
// What the part of the address after # says: video, t, step.
function asked() { return Object.fromEntries(new URLSearchParams(location.hash.slice(1))); }
function address(values) { return Object.entries(values).map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&"); }
let toldUntil = 0;
function tell(text) {
  say("told", text);
  clearTimeout(toldUntil);
  toldUntil = setTimeout(() => say("told", ""), 4000);
}
async function copyLink(values) {
  location.replace(`#${address(values)}`);
  try {
    await navigator.clipboard.writeText(location.href);
    tell("Link copied");
  } catch {
    tell("The link is in the address bar; copy it from there");
  }
}
// Whether a key belongs to a field that the reader is typing in, or to a slider that moves by it.
function isTaken(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return true;
  const field = event.target.closest?.("input, select, textarea, [role=slider]");
  if (!field) return false;
  const slides = field.type === "range" || field.matches("[role=slider]");
  if (slides) return /^(Arrow|Page|Home|End)/.test(event.key) && !field.matches("#axis");
  return field.type !== "checkbox" || event.key === " ";
}
// Sorting by a click on the head of a column; sort is [key, 1 or -1].
function listenHeads(table, sort, changed) {
  const heads = [...table.tHead.querySelectorAll("button[data-sort]")];
  const mark = () => {
    for (const head of heads) {
      const own = head.dataset.sort === sort[0];
      if (own) head.parentElement.setAttribute("aria-sort", sort[1] > 0 ? "ascending" : "descending");
      else head.parentElement.removeAttribute("aria-sort");
    }
  };
  for (const head of heads) head.addEventListener("click", () => {
    sort[1] = sort[0] === head.dataset.sort ? -sort[1] : 1;
    sort[0] = head.dataset.sort;
    mark();
    changed();
  });
  mark();
}
function compare(a, b) { return a < b ? -1 : a > b ? 1 : 0; }
