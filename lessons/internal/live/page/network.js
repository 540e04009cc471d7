// The network: bridges with what is plugged into them, other cables, and each namespace's
// interfaces.
import { el, fold } from './dom.js';
import { label } from './box.js';
import { tone } from './tones.js';

export function drawNetwork({ networks, cables, boxes }) {
  const who = (n) => (n.host ? 'the host' : n.boxes.map((id) => label(boxes.find((b) => b.id === id))).join(', '));
  const draw = { networks, cables, who, drawn: new Set() };
  const bridges = networks.flatMap((n) => n.interfaces.filter((l) => l.kind === 'bridge').map((l) => bridge(draw, n, l)));
  const others = cables.filter((c) => !draw.drawn.has(c)).map((c) => wire(draw, c, c.a));
  return [
    ...bridges,
    others.length ? el('div', { class: 'switch' }, el('h3', {}, 'Cables whose bridge is not seen, if they have one'), el('ul', { class: 'wires loose' }, others)) : null,
    bridges.length + others.length ? null : el('p', {}, 'No bridge and no cable is seen.'),
    el('h3', {}, 'Each network by itself'),
    el('div', { class: 'networks' }, networks.map((n) => network(n, who(n)))),
  ];
}

const toneOf = (n) => (n.host ? 'tone-host' : tone(`net ${n.inode}`));

// bridge draws a switch and the cables in it.
function bridge(draw, n, link) {
  const ports = n.interfaces.filter((l) => l.bridge === link.name);
  const rows = ports.map((port) => {
    const cable = draw.cables.find((c) => [c.a, c.b].some((e) => e.network === n.inode && e.name === port.name));
    if (!cable) return el('li', {}, end(n, port, draw.who(n)));
    draw.drawn.add(cable);
    return wire(draw, cable, cable.a.network === n.inode && cable.a.name === port.name ? cable.a : cable.b);
  });
  return el('div', { class: 'switch' },
    el('h3', {}, 'Bridge ', el('code', {}, link.name), ` in ${draw.who(n)}`),
    addresses(link),
    rows.length ? el('ul', { class: 'wires' }, rows) : el('p', { class: 'note' }, 'Nothing is plugged in.'));
}

// wire draws a cable from one of its ends.
function wire(draw, cable, from) {
  const to = from === cable.a ? cable.b : cable.a;
  const find = (e) => {
    const n = draw.networks.find((x) => x.inode === e.network);
    return n && [n, n.interfaces.find((l) => l.name === e.name)];
  };
  const side = (e) => {
    const [n, link] = find(e) ?? [];
    return n ? end(n, link, draw.who(n)) : el('span', { class: 'end' }, 'an end that is not seen');
  };
  return el('li', { class: 'wire' }, side(from), el('span', { class: 'cable', role: 'img', 'aria-label': 'joined to' }),
    cable.open ? el('span', { class: 'end' }, 'an end that is not seen') : side(to));
}

function end(n, link, who) {
  return el('span', { class: `end ${toneOf(n)}` }, el('span', {}, el('code', {}, link.name), ` in ${who}`), addresses(link));
}

function addresses(link) {
  return link.addresses.length ? el('span', { class: 'addresses' }, link.addresses.map((a) => el('code', {}, a))) : null;
}

// network lists the interfaces of one namespace.
function network(n, who) {
  const title = n.heldBy ? `net ${n.inode}, without a process` : `${n.host ? 'The host' : who}: net ${n.inode}`;
  if (n.heldBy) return el('div', { class: 'net' }, el('p', {}, title), el('p', { class: 'note' }, 'kept by the mount ', el('code', {}, n.heldBy)));
  const links = n.interfaces.map((l) => el('li', {}, el('code', {}, l.name), l.kind ? ` ${l.kind}` : '', addresses(l)));
  const more = [['gateway', n.gateways], ['listens on TCP port', n.listening], ['also has', n.elsewhere]];
  return el('div', { class: `net ${toneOf(n)}` },
    fold(`net-${n.inode}`, title, n.interfaces.length <= 6,
      el('ul', {}, links, more.filter(([, list]) => list.length).map(([word, list]) => el('li', {}, `${word} `, el('code', {}, list.join(', ')))))));
}
