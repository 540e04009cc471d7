// A chart of the last minute, as a line, with the same in words for who does not see it.
import { el } from './dom.js';

const span = 60; // seconds
const width = 120, height = 36;

export class Chart {
  // format turns a number into words; the limit can be null.
  constructor(title, format) {
    this.title = title;
    this.format = format;
    this.points = []; // {time in seconds, value}
    this.limit = null;
    this.area = el('path', { class: 'area' });
    this.line = el('path', { class: 'line' });
    this.edge = el('line', { class: 'limit', x1: 0, x2: width, y1: 0, y2: 0 });
    this.svg = el('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img' }, this.area, this.line, this.edge);
    this.value = el('span', { class: 'value' }, '—');
    this.note = el('span', { class: 'note' });
    this.element = el('figure', { class: 'chart' }, el('figcaption', {}, el('span', { class: 'title' }, title), this.value), this.svg, this.note);
    this.draw();
  }

  // add takes a value at a time in seconds; null when it is not known.
  add(time, value) {
    if (value !== null) this.points.push({ time, value });
    this.points = this.points.filter((p) => p.time > time - span);
    this.draw();
  }

  draw() {
    const values = this.points.map((p) => p.value);
    const last = values.at(-1), peak = Math.max(0, ...values);
    const near = this.limit !== null && peak > this.limit / 8;
    const top = Math.max(near ? this.limit : 0, peak * 1.2) || 1;
    const now = this.points.at(-1)?.time ?? 0;
    const at = (p) => `${(width * (1 - (now - p.time) / span)).toFixed(1)},${(height - 1 - (height - 3) * (p.value / top)).toFixed(1)}`;
    const d = this.points.map(at).join('L');
    this.line.setAttribute('d', d && `M${d}`);
    const first = this.points[0] && at(this.points[0]).split(',')[0];
    this.area.setAttribute('d', d && `M${first},${height}L${d}L${width},${height}Z`);
    const y = height - 1 - (height - 3) * ((this.limit ?? 0) / top);
    for (const name of ['y1', 'y2']) this.edge.setAttribute(name, y);
    this.edge.setAttribute('visibility', near ? 'visible' : 'hidden');
    this.tell(last, peak);
  }

  tell(last, peak) {
    const known = last !== undefined;
    const limit = this.limit === null ? '' : ` of ${this.format(this.limit)}`;
    this.value.textContent = known ? this.format(last) + limit : '—';
    this.svg.setAttribute('aria-label', known
      ? `${this.title}: now ${this.format(last)}${limit}, at most ${this.format(peak)} in the last minute`
      : `${this.title}: not known yet`);
  }
}

// bytes, in powers of 1024.
export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return `${n >= 100 || i === 0 ? Math.round(n) : n.toFixed(1)} ${units[i]}`;
}
