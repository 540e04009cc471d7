// Colours for what boxes have of their own. A colour is given when a thing is first seen, the
// one that is used least, and stays with it.
const tones = 8;
const given = new Map();

// tone is the class of a thing's colour: a namespace by its number, a layer by its path.
export function tone(key) {
  if (!given.has(key)) {
    const used = new Array(tones).fill(0);
    for (const t of given.values()) used[t]++;
    given.set(key, used.indexOf(Math.min(...used)));
  }
  return `tone-${given.get(key)}`;
}

// sameTone gives a thing the colour of another, unless it has one.
export function sameTone(key, as) {
  if (!given.has(key)) {
    tone(as);
    given.set(key, given.get(as));
  }
  return tone(key);
}

// forget frees the colours of what is gone.
export function forget(present) {
  for (const key of given.keys()) if (!present.has(key)) given.delete(key);
}
