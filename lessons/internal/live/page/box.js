// One box: its namespaces, charts, processes, files and walls.
import { el, show, fold, count } from './dom.js';
import { Chart, bytes } from './chart.js';
import { tone, sameTone } from './tones.js';

// what there is a separate one of, in a namespace of each kind.
export const what = {
  mnt: 'mounts', pid: 'process numbers', uts: 'host name', ipc: 'IPC objects',
  net: 'network', cgroup: 'root of groups', user: 'users', time: 'clocks',
};

// label names a box in text.
export const label = (box) => box.name ?? `${box.pid} ${box.command.split(' ')[0].split('/').at(-1)}`;

// strip draws namespaces in a row; told says something about each.
export function strip(namespaces, title, told) {
  return el('ul', { class: 'strip', 'aria-label': title }, namespaces.map((n) =>
    el('li', { class: `ns ${n.host ? 'tone-host' : tone(`${n.kind} ${n.inode}`)}` },
      el('span', { class: 'kind' }, n.kind), ' ',
      el('span', { class: 'whose' }, told(n)), ' ',
      el('span', { class: 'inode' }, String(n.inode)))));
}

export class Box {
  constructor(id) {
    this.id = id;
    this.element = el('article', { class: 'box', 'aria-labelledby': `box-${id}` });
    this.parts = {};
    for (const name of ['head', 'spaces', 'charts', 'processes', 'files', 'walls']) {
      this.parts[name] = el('div', { class: name });
      this.element.append(this.parts[name]);
    }
    const cores = (n) => `${n.toFixed(n < 0.1 ? 3 : 2)} ${n === 1 ? 'core' : 'cores'}`;
    this.charts = {
      memory: new Chart('Memory', bytes),
      cpu: new Chart('Processor', cores),
      pids: new Chart('Tasks', (n) => String(n)),
      net: new Chart('Network', (n) => `${bytes(n)}/s`),
    };
    this.parts.charts.append(...Object.values(this.charts).map((c) => c.element));
    this.last = null;
  }

  draw(box, { boxes }) {
    this.data = box;
    const of = (id) => boxes.find((b) => b.id === id);
    for (const n of box.namespaces) if (!n.host) sameTone(`${n.kind} ${n.inode}`, box.id);
    this.element.className = `box ${tone(box.id)}`;
    const outer = box.inside && of(box.inside);
    show(this.parts.head, [box.pid, box.command, box.name, outer && label(outer)], () => this.head(box, outer));
    const with_ = box.namespaces.map((n) => (n.with ?? []).map((id) => label(of(id))));
    show(this.parts.spaces, [box.namespaces, with_], () => this.spaces(box, with_));
    show(this.parts.processes, [box.processes, box.unlisted], () => this.processes(box));
    show(this.parts.files, [box.root, shared(box, boxes)], () => this.files(box.root, shared(box, boxes)));
    show(this.parts.walls, [box.walls, box.group], () => this.walls(box));
    this.limits(box.group);
  }

  head(box, outer) {
    return [
      el('h4', { id: `box-${box.id}` }, box.name ? [el('span', { class: 'name' }, box.name), ' '] : null, el('span', { class: 'pid' }, String(box.pid)), ' ', el('code', {}, box.command)),
      outer ? el('p', { class: 'note' }, `made inside box ${label(outer)}`) : null,
    ];
  }

  spaces(box, with_) {
    const whose = new Map(box.namespaces.map((n, i) => [n, n.host ? 'the host\'s'
      : with_[i].length ? `shared with ${with_[i].slice(0, 3).join(', ')}${with_[i].length > 3 ? ` and ${with_[i].length - 3} more` : ''}` : 'its own']));
    const notes = box.namespaces.filter((n) => n.note);
    return [
      strip(box.namespaces, 'Namespaces', (n) => whose.get(n)),
      notes.length ? el('ul', { class: 'notes' }, notes.map((n) => el('li', {}, el('b', {}, n.kind), ` ${n.note}`))) : null,
    ];
  }

  processes(box) {
    const rows = box.processes.map((p) => {
      const row = el('li', {}, el('span', { class: 'pid' }, String(p.pid)),
        p.inside && p.inside !== p.pid ? el('span', { class: 'inside' }, `${p.inside} inside`) : null,
        el('code', {}, p.command), el('span', { class: 'note' }, `user ${p.uid}`));
      row.style.marginInlineStart = `${Math.min(p.depth, 6)}em`;
      return row;
    });
    const n = box.processes.length + box.unlisted;
    return fold('processes', count(n, 'process', 'processes'), n <= 8,
      el('ul', { class: 'tree' }, rows, box.unlisted ? el('li', {}, `and ${box.unlisted} more`) : null));
  }

  files(root, shared) {
    const mounts = root.mounts.length === 0 ? null : fold('mounts', `${count(root.mounts.length, 'other mount')} that the host does not have`, false,
      el('ul', { class: 'mounts' }, root.mounts.map((m) => el('li', {}, el('code', {}, m.at), ` ${m.type}${m.readOnly ? ', read-only' : ''}`,
        m.source ? [' of ', el('code', {}, m.source)] : null))));
    return [el('h5', {}, 'Files'), ...rootOf(root, shared), mounts];
  }

  walls(box) {
    const { walls, group } = box;
    const seccomp = { none: 'no seccomp filter', strict: 'strict seccomp', filter: 'a seccomp filter' }[walls.seccomp];
    const rights = [count(walls.capabilities, 'capability', 'capabilities'), seccomp, walls.noNewPrivs ? 'no_new_privs' : null];
    return el('p', { class: 'note' }, `Process ${box.pid} has ${rights.filter(Boolean).join(', ')}. `, place(group));
  }

  limits(group) {
    for (const [name, chart] of [['memory', this.charts.memory], ['cpu', this.charts.cpu], ['pids', this.charts.pids]]) {
      const limit = group[name];
      chart.limit = limit && !group.fromProcesses.includes(name) ? limit.value : null;
      chart.note.textContent = group.fromProcesses.includes(name) ? 'added up from the processes'
        : limit?.from ? `the limit is of ${limit.from}` : limit ? '' : 'no limit';
    }
  }

  // move adds figures to the charts; counters become rates.
  move(time, f) {
    const rate = (now, before) => (this.last && now !== null && before !== null && time > this.last.time
      ? Math.max(0, now - before) / (time - this.last.time) : null);
    const total = (g) => (g.received === null ? null : g.received + g.sent);
    this.charts.memory.add(time, f.memory);
    this.charts.pids.add(time, f.pids);
    this.charts.cpu.add(time, rate(f.cpu, this.last?.f.cpu ?? null, 1) === null ? null : rate(f.cpu, this.last.f.cpu) / 1e6);
    this.charts.net.add(time, rate(total(f), this.last ? total(this.last.f) : null));
    this.charts.net.note.textContent = total(f) === null ? 'the network is the host\'s' : `${bytes(f.received)} in, ${bytes(f.sent)} out`;
    if (f.killed) this.charts.memory.note.textContent = `${count(f.killed, 'process', 'processes')} killed for it`;
    if (f.throttled) this.charts.cpu.note.textContent = `held back ${count(f.throttled, 'time')}`;
    this.last = { time, f };
  }
}

// shared are the layers of a box that other boxes have too, with their labels.
function shared(box, boxes) {
  const found = {};
  for (const layer of box.root.layers ?? []) {
    const others = boxes.filter((b) => b.id !== box.id && b.root.layers?.some((l) => l.path === layer.path));
    if (others.length > 0) found[layer.path] = others.map(label);
  }
  return found;
}

// rootOf tells what is mounted on /.
function rootOf(root, shared) {
  switch (root.kind) {
    case 'host': return [el('p', {}, 'The root of the host itself.')];
    case 'directory': return [el('p', {}, `A directory on ${root.type}: `, el('code', {}, root.source))];
    case 'overlay': return [stack(root.layers, shared)];
  }
  return [el('p', {}, 'Its mounts do not show.')];
}

// stack draws the layers of an overlay, the highest on top.
function stack(layers, shared) {
  return el('ol', { class: 'stack', 'aria-label': 'Layers, the highest first' }, layers.map((l) =>
    el('li', { class: `layer ${l.writable ? 'upper' : shared[l.path] ? tone(l.path) : 'lower'}` },
      el('code', { title: l.path }, short(l.path)), ' ',
      el('span', { class: 'note' }, l.writable ? 'written to' : shared[l.path] ? `also in ${shared[l.path].slice(0, 3).join(', ')}` : 'only read'))));
}

// short cuts the digests in a path, and keeps its end.
function short(path) {
  const parts = path.replace(/([0-9a-f]{12})[0-9a-f]{20,}/g, '$1…').split('/');
  return parts.length > 4 ? `…/${parts.slice(-3).join('/')}` : parts.join('/');
}

// place tells where limits come from.
function place(group) {
  if (group.version === 0) return 'It is in no control group that can be seen.';
  const where = el('code', {}, group.path);
  return el('span', {}, group.own ? 'Its control group is ' : 'It has no control group of its own, it is in ', where, ` (version ${group.version}).`);
}
