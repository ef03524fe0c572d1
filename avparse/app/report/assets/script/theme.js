"use strict";
// In the head, before anything is drawn: the theme that the reader chose, or that of the system.
const system = matchMedia("(prefers-color-scheme: dark)");
const THEMES = ["auto", "light", "dark"];
function chosenTheme() {
  try { return THEMES.find((name) => name === localStorage.getItem("avparse-theme")) ?? "auto"; } catch { return "auto"; }
}
function applyTheme(name = chosenTheme()) {
  const dark = name === "auto" ? system.matches : name === "dark";
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  document.dispatchEvent(new Event("theme"));
}
function chooseTheme(name) {
  try { localStorage.setItem("avparse-theme", name); } catch { /* a browser that keeps nothing: for this page only */ }
  applyTheme(name);
}
system.addEventListener("change", () => applyTheme());
applyTheme();
