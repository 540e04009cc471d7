// The terminals beside a lesson, and the buttons that type its commands into them. The shells
// and their screens are play's: a page that is loaded again gets both back.
import { Terminal } from "./xterm.mjs";
import { FitAddon } from "./addon-fit.mjs";

const root = document.documentElement;
const lesson = Number(location.pathname.split("/").pop().split("-")[0]);

// make is an element with attributes and children.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function button(text, act, attributes = {}) {
  const b = make("button", { type: "button", ...attributes }, text);
  b.addEventListener("click", act);
  return b;
}

// recall and remember keep values between visits, where storage is allowed.
function recall(name, otherwise) {
  try { return JSON.parse(localStorage.getItem(name)) ?? otherwise; } catch { return otherwise; }
}
function remember(name, value) {
  try { localStorage.setItem(name, JSON.stringify(value)); } catch { /* then it lasts until the page is left */ }
}

// address is a WebSocket's, below the page's own.
const address = (name) => new URL("play/" + name, location.href).href.replace(/^http/, "ws");

// connect opens a WebSocket again and again, until the page is left.
function connect(name, opened) {
  const socket = new WebSocket(address(name));
  socket.binaryType = "arraybuffer";
  opened(socket);
  socket.addEventListener("close", () => setTimeout(() => connect(name, opened), 500));
}

const bar = make("div", { class: "play-bar" });
const note = make("pre", { class: "play-note", tabindex: "0", role: "region", "aria-label": "Messages" });
const hide = button("Hide", () => { messages.hidden = true; bar.querySelector("input").focus(); }, { "aria-label": "Hide the messages" });
const messages = make("div", { class: "play-messages", hidden: "" }, note, hide); // until the next one
const aside = make("aside", { class: "play", "aria-label": "Terminals" }, bar, messages);
const state = make("p", { class: "play-state", role: "status" }, "connecting …");

// Screen is a terminal of the page.
class Screen {
  constructor(name) {
    this.name = name;
    this.live = false;
    this.pending = null; // the block whose button has typed something here, without Enter
    this.term = new Terminal({ fontSize: 13, fontFamily: "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace", cursorBlink: false,
      scrollback: 5000, theme: { background: "#101418", foreground: "#e6e3dc" } });
    this.fit = new FitAddon();
    this.term.loadAddon(this.fit);
    this.place = make("div", { class: "play-screen" });
    this.section = make("section", { class: "play-terminal", "aria-label": "Terminal " + name }, make("h2", {}, "Terminal " + name), this.place);
    this.term.attachCustomKeyEventHandler((event) => !shortcut(event) && !leaves(event));
    this.term.onData((data) => { if (/[\r\x03]/.test(data)) this.settle(); this.send(data); });
    this.term.onBinary((data) => this.send(data));
  }

  open() {
    this.term.open(this.place);
    this.term.textarea.setAttribute("aria-label", "Terminal " + this.name + ": type here. Alt+0 goes back to the text, Shift+Tab to what is before.");
    new ResizeObserver(() => this.resize()).observe(this.place);
    connect("terminal/" + this.name, (socket) => this.attach(socket));
  }

  attach(socket) {
    this.socket = socket;
    this.live = false;
    socket.addEventListener("open", () => { this.term.reset(); this.resize(true); });
    socket.addEventListener("message", ({ data }) => {
      // What is drawn again must not answer the questions of programs that asked long ago.
      if (typeof data === "string") this.term.write("", () => { this.live = true; });
      else this.term.write(new Uint8Array(data));
    });
  }

  send(text) {
    if (this.live && this.socket.readyState === WebSocket.OPEN) this.socket.send(new TextEncoder().encode(text));
  }

  resize(again) {
    if (!this.place.clientHeight) return;
    const before = this.term.rows + " " + this.term.cols;
    this.fit.fit();
    if (!again && before === this.term.rows + " " + this.term.cols) return;
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ rows: this.term.rows, cols: this.term.cols }));
  }

  // type types a line for the reader, in the place of one that a button has typed before. With a
  // block, Enter is the reader's to press.
  type(text, block) {
    this.send((this.pending ? "\x15" : "") + text + (block ? "" : "\r"));
    this.settle();
    this.pending = block;
  }

  // press presses a key for the reader.
  press(key) {
    this.settle();
    this.send(key);
  }

  // settle is for when nothing waits for Enter any more.
  settle() {
    this.pending?.say("");
    this.pending = null;
  }

  // row is the number of the line that the cursor is in, and prompt that line up to the cursor.
  row() {
    const buffer = this.term.buffer.active;
    return buffer.baseY + buffer.cursorY;
  }

  prompt() {
    const buffer = this.term.buffer.active;
    return buffer.getLine(this.row()).translateToString(false, 0, buffer.cursorX);
  }

  // lines are what the terminal shows, and has shown.
  lines() {
    const buffer = this.term.buffer.active, lines = [];
    for (let i = 0; i < buffer.length; i++) {
      const line = buffer.getLine(i), text = line.translateToString(true);
      if (line.isWrapped && lines.length) lines[lines.length - 1] += text;
      else lines.push(text);
    }
    return lines;
  }
}

const screens = [new Screen("1"), new Screen("2")];
const screenOf = (name) => screens.find((s) => s.name === name) || screens[1];

// shortcut leads from one terminal to the other and back to the text, by keys alone. The key's place
// counts: with Alt, or on some keyboards, it is not a digit that is typed.
let reading = null; // what had the focus in the text
function shortcut(event) {
  const name = /^Digit([012])$/.exec(event.code)?.[1];
  if (event.type !== "keydown" || !event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || !name) return false;
  event.preventDefault();
  if (name === "0") (reading || document.querySelector("main button") || document.body).focus();
  else { show(name); screenOf(name).term.focus(); }
  return true;
}

// leaves reports whether a key leads out of a terminal, as everywhere on a page. Tab itself is for
// the shell, which completes names with it.
const leaves = (event) => event.key === "Tab" && event.shiftKey;

document.addEventListener("keydown", (event) => { if (!aside.contains(event.target)) shortcut(event); });
document.addEventListener("focusin", (event) => { if (!aside.contains(event.target)) reading = event.target; });

// show brings a terminal to the front where there is room for one.
const tabs = make("span", { class: "play-tabs" });
function show(name) {
  for (const s of screens) s.section.toggleAttribute("data-hidden", s.name !== name);
  for (const tab of tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.name === name));
  screenOf(name).resize();
}

// The bar: what the machine does, Enter or not, Reset.
const enterToo = make("input", { type: "checkbox", id: "play-enter" });
enterToo.checked = recall("play-enter", false);
enterToo.addEventListener("change", () => { remember("play-enter", enterToo.checked); label(); });
const keep = make("input", { type: "checkbox", id: "play-keep" });
keep.checked = true;
const reset = button("Reset", () => order({ do: "reset", keep: keep.checked }), { title: "Throw the machine away and boot a new one" });
const keeping = make("label", { for: "play-keep" }, keep, "keep /work");
for (const s of screens) tabs.append(button(s.name, () => { show(s.name); s.term.focus(); }, { "data-name": s.name, "aria-pressed": "false", "aria-label": "Show terminal " + s.name }));
bar.append(state, tabs, make("label", { for: "play-enter" }, enterToo, "press Enter too"), keeping, reset,
  make("span", { class: "play-said play-help" }, "Alt+1 and Alt+2: to a terminal; Alt+0: back to the text"));

let events;
function order(what) {
  if (events?.readyState === WebSocket.OPEN) events.send(JSON.stringify(what));
}

// words say what the machine does.
function words(s) {
  if (s.Lacks) return "no terminals: " + s.Lacks;
  if (s.Where === "host") return "These shells run on this host itself.";
  switch (s.Phase) {
    case "booting": return "booting the machine …";
    case "ended": return "the machine has ended";
  }
  return `up in ${s.Boot.toFixed(1)} s${s.Accel === "kvm" ? " with KVM" : ""}, cgroup ${s.Cgroups}; box is ${s.Stage ? "that of stage " + s.Stage : "yours"}`;
}

let where = "machine";
function told(s) {
  where = s.Where;
  missing = (s.Missing || []).join(", ");
  count();
  state.textContent = words(s);
  root.dataset.play = s.Phase;
  reset.hidden = keeping.hidden = s.Where === "host";
  reset.disabled = s.Phase === "booting";
  const parts = [];
  if (s.Problem) parts.push(s.Problem);
  if (s.Phase === "ended") parts.push("The end of its console:", s.Console, "Reset boots a new one.");
  if (s.Build && !s.Build.Good) parts.push(s.Build.Dir, s.Build.Text);
  else if (s.Build) parts.push(s.Build.Text);
  if (s.Exercise) parts.push(...trial(s.Exercise));
  const text = parts.join("\n");
  if (text !== note.textContent) messages.hidden = !text;
  note.textContent = text;
  note.dataset.kind = s.Problem || s.Phase === "ended" || s.Build?.Good === false || s.Exercise?.Error ? "bad" : "good";
}

function trial(t) {
  const lines = [`exercise ${t.Name}${t.Running ? ": building and checking …" : ""}`, ...(t.Lines || [])];
  if (!t.Running) lines.push(t.Error || `${t.Name} is solved`);
  return lines;
}

// Blocks: what a session of the lesson has one type, line by line. Where a session is an ordinary
// user's, the machine's program user runs the line.
const keyNames = { "\r": "Enter", "\x03": "Ctrl-C", "\x1a": "Ctrl-Z" };
const progress = recall("play-lesson-" + lesson, []);
const blocks = [];

class Block {
  constructor({ element, terminal, steps }, index) {
    this.index = index;
    this.terminal = terminal;
    this.user = element.dataset.as === "user";
    this.steps = steps;
    this.next = 0;
    this.said = make("span", { class: "play-said", role: "status" });
    this.button = button("", () => this.type());
    const buttons = make("div", { class: "play-buttons" }, this.button);
    if (this.steps.some((s) => s.shown)) buttons.append(this.fold(element));
    buttons.append(this.said);
    element.after(buttons);
    if (element.matches("figure")) element.append(buttons);
    this.label();
    if (progress.includes(index)) this.say("done before");
  }

  // fold hides what the lesson shows, until the reader has seen what came.
  fold(element) {
    element.classList.add("play-folded");
    const b = button("Expected output", () => {
      const folded = element.classList.toggle("play-folded");
      b.setAttribute("aria-expanded", String(!folded));
    }, { "aria-expanded": "false" });
    return b;
  }

  label() {
    const n = this.steps.length, which = n > 1 ? ` line ${this.next + 1} of ${n}` : "", key = this.steps[this.next].key;
    const verb = key ? "Press " + keyNames[key] : (enterToo.checked ? "Run" : "Type") + which;
    this.button.textContent = `${verb} in terminal ${this.terminal}`;
  }

  // type types the next line. Without Enter the terminal gets the keys, for the reader to press it there.
  type() {
    const step = this.steps[this.next], screen = screenOf(this.terminal), waits = !enterToo.checked && !step.key;
    show(this.terminal);
    for (const s of this.steps) s.element?.classList.remove("play-typed");
    step.element?.classList.add("play-typed");
    if (step.key) screen.press(step.key);
    else screen.type((this.user && where === "machine" ? "user " : "") + filled(step.text), waits ? this : null);
    this.next = (this.next + 1) % this.steps.length;
    if (this.next === 0) this.done();
    this.label();
    this.say(waits ? "Press Enter in the terminal; Alt+0 leads back here." : "");
    if (waits) screen.term.focus();
  }

  say(text) {
    this.said.textContent = text;
  }

  done() {
    if (!progress.includes(this.index)) progress.push(this.index);
    remember("play-lesson-" + lesson, progress);
    count();
  }
}

function label() {
  for (const b of blocks) b.label();
}

// steps are the lines of a block that are typed, and keys. The output of a session is marked, so
// that it can be folded.
function steps(element) {
  const code = element.querySelector("code") || element;
  if (element.dataset.language === "sh") {
    return code.textContent.trimEnd().split("\n").filter((line) => line.trim() && !line.startsWith("#")).map((line) => ({ text: line }));
  }
  const list = [];
  if (!element.matches("figure")) {
    for (const line of code.textContent.split("\n")) {
      if (line.startsWith("$ ")) list.push({ text: line.slice(2).replace(/ {3,}# .*$/, "") });
    }
    return list;
  }
  return session(code, list);
}

// session splits a terminal session into lines; each that is shown is put into an element.
function session(code, list) {
  const lines = [[]];
  for (const node of [...code.childNodes]) {
    const text = node.textContent, at = node.nodeType === Node.TEXT_NODE ? text.indexOf("\n") : -1;
    if (at < 0) { lines[lines.length - 1].push(node); continue; }
    text.split(/(?<=\n)/).forEach((part) => {
      lines[lines.length - 1].push(document.createTextNode(part));
      if (part.endsWith("\n")) lines.push([]);
    });
  }
  code.replaceChildren();
  for (const nodes of lines) sort(code, nodes, list);
  return list;
}

function sort(code, nodes, list) {
  const typed = nodes.find((n) => n.classList?.contains("in")), key = nodes.find((n) => n.nodeName === "KBD");
  if (typed) {
    list.push({ text: typed.textContent, element: typed });
    code.append(...nodes);
    return;
  }
  const shown = make("span", { class: key ? "" : "play-shown" }, ...nodes);
  code.append(shown);
  if (key) list.push({ key: key.textContent.startsWith("^") ? String.fromCharCode(key.textContent.charCodeAt(1) - 64) : "\r", element: key, line: shown });
  else if (list.length && nodes.length) list[list.length - 1].shown = true;
  if (!key && nodes.length) patterns.push(shown.textContent.trim());
}

// delayEnter moves an Enter at the end of a block to the beginning of its terminal's next one, where
// the lesson shows what it brings: until then the other terminal may look at what waits.
function delayEnter(list) {
  list.forEach(({ terminal, steps }, i) => {
    const press = steps.at(-1), next = list.slice(i + 1).find((other) => other.terminal === terminal && other.code);
    if (press?.key !== "\r" || press.shown || !next) return;
    steps.pop();
    press.line.className = "play-shown"; // a part of what the block shows
    if (steps.length) steps.at(-1).shown = true;
    const element = make("kbd", {}, "[Enter]");
    next.steps.unshift({ key: "\r", element, shown: next.code.firstElementChild?.className === "play-shown" });
    next.code.prepend(element, "\n");
  });
}

// patterns are the lines that the lesson shows: from those with a ‹name› and what a terminal
// shows follows what the name stands for.
const patterns = [];
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/…/g, ".*").replace(/ {2,}/g, " +");

function filled(text) {
  return text.replace(/‹([a-z]+)›/g, (mark) => found(mark) ?? mark);
}

// found looks for the value of a mark in what the terminals show, the newest first.
function found(mark) {
  const wanted = patterns.filter((p) => p.includes(mark)).map((p) =>
    new RegExp("^" + p.split(mark).map((part) => escaped(part).replace(/‹[a-z]+›/g, "\\d+")).join("(\\d+)") + "\\s*$"));
  for (const screen of screens) {
    for (const line of screen.lines().reverse()) {
      for (const pattern of wanted) {
        const m = pattern.exec(line);
        if (m) return m[1];
      }
    }
  }
  return undefined;
}

const counted = make("p", { class: "play-said" });
let missing = ""; // tools of the host that the lessons use
function count() {
  counted.textContent = `${progress.length} of ${blocks.length} blocks of commands done`;
  if (missing) counted.textContent += `. Not installed on this host, so missing in the machine: ${missing}.`;
}

// The page: buttons in the text, terminals beside it.
const parts = [];
for (const element of document.querySelectorAll("main figure.session, main pre[data-language=sh], main pre.wide:not([data-language])")) {
  if (element.closest("figure.session") !== element && element.closest("figure.session")) continue;
  if (element.matches("pre:not([data-language])") && !/^\$ /m.test(element.textContent)) continue;
  const code = element.matches("figure") ? element.querySelector("code") : null;
  parts.push({ element, code, terminal: element.dataset.terminal === "2" ? "2" : "1", steps: steps(element) });
}
delayEnter(parts);
for (const part of parts) if (part.steps.length) blocks.push(new Block(part, blocks.length));
// Beside the terminals the text is narrower: what is wider scrolls, by keys too.
for (const pre of document.querySelectorAll("main pre.wide")) pre.tabIndex = 0;
document.querySelector("main h1")?.after(counted);
count();
for (const link of document.querySelectorAll("main a[href*='exercises/']")) {
  const m = /exercises\/(\d[a-z])\.html/.exec(link.href);
  if (m) link.after(" ", button("Try " + m[1], () => order({ do: "try", exercise: m[1] }), { title: "Check your copy in the machine" }));
}
for (const s of screens) aside.append(s.section);
for (const list of document.querySelectorAll(".contents details")) list.open = false; // room for the text
document.body.append(aside);
root.dataset.play = "booting";
for (const s of screens) s.open();
show("1");
connect("events", (socket) => {
  events = socket;
  socket.addEventListener("open", () => order({ do: "choose", stage: lesson }));
  socket.addEventListener("message", ({ data }) => told(JSON.parse(data)));
  socket.addEventListener("close", () => { state.textContent = "play has ended or cannot be reached"; });
});
window.playground = { screens, blocks }; // for who looks with the browser's own tools, and for the tests
