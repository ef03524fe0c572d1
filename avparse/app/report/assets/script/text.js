"use strict";
/* Small helpers that every page uses. */
const SENSES = { audio: "heard", visual: "seen" };
const $ = (id) => document.getElementById(id);
function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
function bytes(base64) {
  const text = atob(base64), array = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) array[i] = text.charCodeAt(i);
  return array;
}
function clamp(value, low, high) { return Math.min(Math.max(value, low), high); }
function grouped(count) { return String(count).replace(/\B(?=(\d{3})+$)/g, ","); }
function plural(count, word) { return `${grouped(count)} ${word}${count === 1 ? "" : "s"}`; }
function readable(name) { return name.replaceAll("_", " "); }
// Seconds as people read them: with minutes where the whole is longer than one.
function clockTime(seconds, digits, whole) {
  seconds = Number(seconds.toFixed(digits));
  if (whole < 60) return seconds.toFixed(digits);
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  const rest = (seconds - minutes * 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}
function say(id, text) { $(id).textContent = text; $(id).hidden = !text; }
// Every other part is set in bold.
function strong(target, parts) { target.replaceChildren(...parts.map((part, i) => (i % 2 ? element("b", "", part) : part))); }

/* Colours of classes. The golden angle keeps the hues of any number apart; three tiers of lightness part the closest. */
function hue(c) { return (29 + c * 137.508) % 360; }
function tier(c) { return (c % 3 - 1) * 7; }
function inHue(made, c) {
  made.style.setProperty("--hue", hue(c));
  made.style.setProperty("--tier", `${tier(c)}%`);
  return made;
}
function dot(c) { return inHue(element("span", "dot"), c); }
function css(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }
