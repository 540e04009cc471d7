// What pages do beyond showing: search, keys, folding, side by side, the theme. Without
// this script everything can still be read, and folds still open.
"use strict";

const root = document.documentElement;
const up = root.dataset.up;
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const one = (selector, from = document) => from.querySelector(selector);

// make is an element with attributes and children.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// What is remembered, where storage is allowed.
function recall(name) {
  try { return localStorage.getItem(name); } catch { return null; }
}
function remember(name, value) {
  try { localStorage.setItem(name, value); } catch { /* then it lasts until the page is left */ }
}

function button(text, title, act) {
  const b = make("button", { type: "button", title }, text);
  b.addEventListener("click", act);
  return b;
}

// Light and dark.
function switchTheme() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  remember("theme", root.dataset.theme);
}

// A dialog with a title and a button that closes it.
function dialog(name, label) {
  const d = make("dialog", { id: name, "aria-label": label });
  d.addEventListener("click", (event) => { if (event.target === d) d.close(); });
  document.body.append(d);
  return d;
}

// Search: all words must occur, in the name or the text; names count more.
const search = dialog("search-dialog", "Search");
const input = make("input", { type: "search", id: "search-words", autocomplete: "off", spellcheck: "false", placeholder: "lessons, files, functions" });
const answers = make("ul", { class: "answers" });
const said = make("p", { class: "said", role: "status" });
search.append(make("div", { class: "ask" }, make("label", { for: "search-words" }, "Search for"), input, button("Close", "Esc", () => search.close())), said, answers);
let index;

async function openSearch() {
  if (!search.open) search.showModal();
  input.select();
  if (!index) {
    const answer = await fetch(up + "search.json");
    index = await answer.json();
    for (const entry of index) entry.low = [entry.t.toLowerCase(), ((entry.w || "") + " " + (entry.x || "")).toLowerCase()];
  }
  find();
}

function score(entry, words) {
  let sum = 0;
  const [title, text] = entry.low;
  for (const word of words) {
    const at = title.indexOf(word);
    if (title === word) sum += 60;
    else if (at === 0 || (at > 0 && /[\W_]/.test(title[at - 1]))) sum += 30;
    else if (at > 0) sum += 15;
    else if (text.includes(word)) sum += 5;
    else return 0;
  }
  return sum + (entry.k === "lesson" ? 2 : entry.k === "file" ? 3 : 0) - title.length / 100;
}

const most = 40; // answers that are shown

function find() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = !words.length ? [] : index.map((entry) => [score(entry, words), entry]).filter(([n]) => n > 0).sort((a, b) => b[0] - a[0]);
  said.textContent = !words.length ? "Type a word of a lesson, a file or a function." :
    hits.length === 0 ? "Nothing has all of these words." :
    hits.length === 1 ? "1 answer" : hits.length + " answers" + (hits.length > most ? ", the first " + most + " shown" : "");
  answers.replaceChildren(...hits.slice(0, most).map(([, entry]) => answer(entry, words)));
}

function answer(entry, words) {
  const detail = make("small", {}, entry.w || "");
  const excerpt = around(entry.x || "", words);
  if (excerpt.length) detail.append(entry.w ? ": " : "", ...excerpt);
  const item = make("li", { class: entry.k === "lesson" ? "is-prose" : "is-code" },
    make("a", { href: up + entry.h }, make("span", { class: "name" }, entry.t), detail));
  if (entry.m && entry.m.length > 1) {
    for (const place of entry.m) item.append(make("a", { class: "stage", href: up + place.h, "aria-label": `${entry.t} at stage ${place.s}` }, String(place.s)));
  }
  return item;
}

// around is the first word that occurs in a text, with some whole words of its neighbourhood.
function around(text, words) {
  const low = text.toLowerCase();
  const word = words.find((w) => low.includes(w));
  if (!word) return [];
  const at = low.indexOf(word), end = at + word.length;
  const from = at < 40 ? 0 : text.indexOf(" ", at - 40) + 1, to = text.lastIndexOf(" ", end + 80);
  return [(from ? "… " : "") + text.slice(Math.min(from, at), at), make("mark", {}, text.slice(at, end)), text.slice(end, Math.max(end, to)) + " …"];
}

input.addEventListener("input", () => { if (index) find(); });
search.addEventListener("keydown", (event) => {
  const links = all("li > a:first-child", answers), at = links.indexOf(document.activeElement);
  if (event.key === "ArrowDown") (links[at + 1] || links[at] || input).focus();
  else if (event.key === "ArrowUp") (at > 0 ? links[at - 1] : input).focus();
  else if (event.key === "Enter" && document.activeElement === input && links[0]) links[0].click();
  else return;
  event.preventDefault();
});
answers.addEventListener("click", (event) => { if (event.target.closest("a")) search.close(); });

// Changes: side by side, folding, the list of system calls.
function sideBySide() {
  const on = document.body.classList.toggle("split");
  if (on && !one(".same")) all(".file:not(.fresh) pre.both").forEach(twice);
  pressed("split", on);
  remember("split", on ? "yes" : "");
}

// twice puts lines that are alike on the left too, with the numbers they had.
function twice(both) {
  const left = both.cloneNode(true);
  left.className = "left";
  left.setAttribute("aria-hidden", "true");
  for (const line of all("[data-o]", left)) line.dataset.n = line.dataset.o;
  const pair = make("div", { class: "same" });
  both.replaceWith(pair);
  pair.append(left, both);
}

function unfold() {
  const folds = all(".code details.fold, .list details.fold");
  const on = folds.some((fold) => !fold.open);
  for (const fold of folds) fold.open = on;
  pressed("unfold", on);
}

async function systemCalls(on = !document.body.classList.contains("with-calls")) {
  document.body.classList.toggle("with-calls", on);
  pressed("calls", on);
  const link = one(".calls a.load");
  if (!on || link.dataset.loaded) return;
  link.dataset.loaded = "yes";
  const note = make("p", { role: "status" }, "The stages are being built for their lists …");
  link.closest("section").append(note);
  try {
    const answer = await fetch(link.href);
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    note.replaceWith(...one(".list", new DOMParser().parseFromString(text, "text/html")).childNodes);
  } catch (error) {
    note.textContent = "There is no list: " + error.message;
  }
}

function pressed(name, on) {
  const b = one(`.switches [data-name="${name}"]`);
  if (b) b.setAttribute("aria-pressed", on);
}

function addSwitches(place) {
  const names = [["split", "Side by side", "s", sideBySide], ["unfold", "Unfold all", "u", unfold], ["calls", "System calls", "c", () => { systemCalls(); rememberCalls(); }]];
  for (const [name, text, key, act] of names) {
    const b = button(text, "key " + key, act);
    b.dataset.name = name;
    b.setAttribute("aria-pressed", "false");
    place.append(b);
  }
  if (recall("split")) sideBySide();
  const wanted = recall("calls");
  if (wanted ? wanted === "yes" : matchMedia("(min-width: 90rem)").matches) systemCalls(true);
}

function rememberCalls() {
  remember("calls", document.body.classList.contains("with-calls") ? "yes" : "no");
}

// Folds that hide what an address names are opened.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const fold = target && target.closest("details:not([open])");
  if (!fold) return;
  fold.open = true;
  target.scrollIntoView();
}

// Steps: from hunk to hunk, or from heading to heading.
let current = null;

function step(by) {
  const stops = root.dataset.kind === "changes" ? all(".code .hunk").filter((hunk) => !hunk.closest("details:not([open])")) : all("main h2, main h3");
  const line = 1.5 * parseFloat(getComputedStyle(root).scrollPaddingTop) + (root.dataset.kind === "changes" ? 40 : 0);
  const tops = stops.map((stop) => stop.getBoundingClientRect().top);
  let at = stops.indexOf(current);
  if (at < 0 || Math.abs(tops[at] - line) > innerHeight) {
    at = by > 0 ? tops.findIndex((top) => top > line) - 1 : tops.findIndex((top) => top >= line - 10);
    if (at === -2) at = stops.length - 1;
  }
  const next = stops[Math.min(stops.length - 1, Math.max(0, at + by))];
  if (!next) return;
  if (current) current.classList.remove("here");
  current = next;
  next.classList.add("here");
  next.tabIndex = -1;
  next.focus({ preventScroll: true });
  next.scrollIntoView();
}

function follow(selector) {
  const link = one(selector);
  if (link) link.click();
}

function explain() {
  const from = current || one(".code .hunk:target");
  const link = from && (one("a.why", from) || one(".head a.why", from.closest(".file")));
  if (link) link.click();
}

// Keys. They can be switched off, for those whose tools type on their own.
const keys = {
  "/": ["search", openSearch],
  "?": ["these keys", () => help.showModal()],
  j: ["next heading, or next change", () => step(1)],
  k: ["the one before", () => step(-1)],
  n: ["next page", () => follow(".bottom a[rel=next]")],
  p: ["page before", () => follow(".bottom a[rel=prev]")],
  o: ["from a lesson to what its stage changes, and back", () => follow(".top a.other")],
  e: ["to the paragraph that explains the change", explain],
  s: ["side by side", () => one(".switches") && sideBySide()],
  u: ["unfold all, fold all", unfold],
  c: ["the system calls beside the code", () => { if (one(".calls")) { systemCalls(); rememberCalls(); } }],
  i: ["index", () => follow(".top a.home")],
  t: ["light, dark", switchTheme],
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || one("dialog[open]")) return;
  const field = event.target.closest("input, textarea, select, [contenteditable]");
  if (field && !field.closest("dialog")) return; // one of a dialog that has just closed may still have the focus
  if (recall("keys") === "off" && event.key !== "?") return;
  const key = keys[event.key];
  if (!key) return;
  event.preventDefault();
  key[1]();
});

const help = dialog("keys-dialog", "Keys");
{
  const list = make("dl");
  for (const [key, [text]] of Object.entries(keys)) list.append(make("dt", {}, make("kbd", {}, key)), make("dd", {}, text));
  const box = make("input", { type: "checkbox", id: "single-keys" });
  box.checked = recall("keys") !== "off";
  box.addEventListener("change", () => remember("keys", box.checked ? "on" : "off"));
  help.append(make("div", { class: "ask" }, make("h2", {}, "Keys"), button("Close", "Esc", () => help.close())),
    make("div", { class: "help" }, list, make("p", {}, "In the search, the arrow keys go through the answers and Enter opens one."), make("p", {}, box, " ", make("label", { for: "single-keys" }, "single keys do this"))));
}

// The section that is being read, in the contents.
function watch() {
  const links = new Map(all(".contents a").map((a) => [decodeURIComponent(a.hash.slice(1)), a]));
  const heads = all("main h2[id], main h3[id]").filter((head) => links.has(head.id));
  const mark = () => {
    let now = null;
    for (const head of heads) {
      if (head.getBoundingClientRect().top < innerHeight / 3) now = head;
      else break;
    }
    for (const [id, a] of links) {
      if (now && id === now.id) a.setAttribute("aria-current", "true");
      else a.removeAttribute("aria-current");
    }
  };
  let asked = false;
  addEventListener("scroll", () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; mark(); });
  }, { passive: true });
  mark();
}

// What is wider than the screen can be scrolled by keyboard too.
function reachable() {
  for (const box of all("pre.wide, .contents, .calls")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

// The tools in the bar; two have a sign for a name.
function addTools(place) {
  const theme = button("◐", "light or dark, key t", switchTheme), keyboard = button("?", "keys", () => help.showModal());
  theme.setAttribute("aria-label", "Light or dark");
  keyboard.setAttribute("aria-label", "Keys");
  place.append(button("Search", "key /", openSearch), theme, keyboard);
}

addTools(one(".tools"));
if (one(".switches")) addSwitches(one(".switches"));
if (matchMedia("(max-width: 61.99rem)").matches) all(".contents details").forEach((d) => { d.open = false; });
addEventListener("hashchange", reveal);
addEventListener("resize", reachable);
reveal();
watch();
reachable();
