// The connection to the server, and the page as a whole: which boxes there are. What is in
// a box is drawn by box.js, the network by network.js.
import { el, show, count } from './dom.js';
import { Box, strip, what } from './box.js';
import { drawNetwork } from './network.js';
import { bytes } from './chart.js';
import { forget } from './tones.js';

const part = (id) => document.getElementById(id);
const boxes = new Map(); // the drawn ones, by id
let source = null;
let loaded = false;

function connect() {
  source = new EventSource('events');
  source.addEventListener('open', () => say('live', 'Live'));
  source.addEventListener('error', () => say('lost', 'Connection lost, trying again …'));
  source.addEventListener('state', (event) => draw(JSON.parse(event.data)));
  source.addEventListener('figures', (event) => move(JSON.parse(event.data)));
}

function say(state, text) {
  part('connection').dataset.state = state;
  part('connection').textContent = text;
}

part('pause').addEventListener('click', () => {
  if (source) {
    source.close();
    source = null;
    say('paused', 'Paused');
    part('pause').textContent = 'Go on';
  } else {
    connect();
    part('pause').textContent = 'Pause';
  }
});

function draw(snapshot) {
  const { host, unseen } = snapshot;
  show(part('unseen-list'), unseen, () => unseen.map((text) => el('li', {}, text)));
  part('unseen').hidden = unseen.length === 0;
  show(part('host-body'), host, () => [
    el('p', {}, `${count(host.processes, 'process', 'processes')} in all of these namespaces, on ${count(host.cores, 'core')} with ${bytes(host.memory)} of memory.`),
    strip(host.namespaces, 'Namespaces of the host', (n) => what[n.kind]),
  ]);
  drawBoxes(snapshot);
  show(part('network-body'), [snapshot.networks, snapshot.cables, names(snapshot)], () => drawNetwork(snapshot));
  forget(present(snapshot));
}

const names = (snapshot) => snapshot.boxes.map((b) => [b.id, b.pid, b.command, b.name]);

// drawBoxes keeps what is drawn of a box as long as it exists.
function drawBoxes(snapshot) {
  const now = new Set(snapshot.boxes.map((b) => b.id));
  const gone = [...boxes.values()].filter((b) => !now.has(b.id));
  const come = snapshot.boxes.filter((b) => !boxes.has(b.id));
  for (const b of gone) {
    b.element.remove();
    boxes.delete(b.id);
  }
  snapshot.boxes.forEach((data, i) => {
    if (!boxes.has(data.id)) boxes.set(data.id, new Box(data.id));
    const box = boxes.get(data.id);
    box.pid = data.pid;
    box.draw(data, snapshot);
    const list = part('box-list');
    if (list.children[i] !== box.element) list.insertBefore(box.element, list.children[i] ?? null);
  });
  part('empty').hidden = snapshot.boxes.length > 0;
  filter();
  if (loaded) announce(come.map((b) => `Box ${b.pid} has appeared`).concat(gone.map((b) => `Box ${b.pid} is gone`)));
  loaded = true;
}

// filter leaves the boxes that have all the words of the reader's: in their names, commands,
// numbers, ids or namespaces.
function filter() {
  const words = part('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { element, data } of boxes.values()) {
    const text = [data.name, data.pid, data.command, data.group.path, ...data.processes.map((p) => p.command),
      ...data.namespaces.filter((n) => !n.host).map((n) => `${n.kind} ${n.inode}`)].join(' ').toLowerCase();
    element.hidden = !words.every((word) => text.includes(word));
    if (!element.hidden) shown++;
  }
  part('summary').textContent = shown === boxes.size ? count(shown, 'box', 'boxes') : `${shown} of ${count(boxes.size, 'box', 'boxes')}`;
}
part('filter').addEventListener('input', filter);

// announce tells a screen reader, and not more than the news.
function announce(news) {
  if (news.length > 0) part('news').textContent = news.slice(0, 3).join(', ');
}

// present are the things that have a colour.
function present(snapshot) {
  const keys = new Set();
  for (const box of snapshot.boxes) {
    keys.add(box.id);
    for (const n of box.namespaces) keys.add(`${n.kind} ${n.inode}`);
    for (const l of box.root.layers ?? []) keys.add(l.path);
  }
  return keys;
}

function move({ time, figures }) {
  for (const [id, f] of Object.entries(figures)) boxes.get(id)?.move(time / 1000, f);
}

connect();
