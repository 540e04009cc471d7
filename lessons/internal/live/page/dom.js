// Elements made in one expression, and parts of the page that are made anew only when what
// they show has changed, without closing what the reader has opened.

// el makes an element: el('p', {class: 'note'}, 'text', el('b', {}, 'more')). Attributes that
// are null or false are left out. Text is text: nothing of it is read as HTML.
export function el(tag, attributes = {}, ...children) {
  const space = svgTags.has(tag) ? 'http://www.w3.org/2000/svg' : 'http://www.w3.org/1999/xhtml';
  const e = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) e.setAttribute(name, value === true ? '' : value);
  }
  e.append(...children.flat(2).filter((c) => c !== null && c !== undefined));
  return e;
}

const svgTags = new Set(['svg', 'path', 'line']);

// show fills a part with what build returns, if data is not what it was.
export function show(part, data, build) {
  const text = JSON.stringify(data);
  if (part.shown === text) return;
  part.shown = text;
  const open = new Map([...part.querySelectorAll('details[data-key]')].map((d) => [d.dataset.key, d.open]));
  const focused = part.contains(document.activeElement) ? document.activeElement.closest('[data-key]') : null;
  part.replaceChildren(...[build()].flat().filter((c) => c !== null));
  for (const d of part.querySelectorAll('details[data-key]')) {
    if (open.has(d.dataset.key)) d.open = open.get(d.dataset.key);
    if (focused && focused.dataset.key === d.dataset.key) d.querySelector('summary').focus();
  }
}

// fold is a part that the reader may open.
export function fold(key, title, open, ...children) {
  return el('details', { 'data-key': key, open }, el('summary', {}, title), ...children);
}

// count puts a number before a noun: 1 process, 2 processes.
export function count(n, one, many = one + 's') {
  return `${n} ${n === 1 ? one : many}`;
}
