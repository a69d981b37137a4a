// What the page knows: the circuits, their recent past, and the server's time.

const SLOTS = 100, SLOT = 3000; // five minutes, in steps of three seconds
const NONE = 255;

// The server's clock, so that a browser's wrong one moves no countdown.
const clock = {
  offset: Date.now() - performance.now(),
  set(at, received) { this.offset = at - received; },
  now() { return this.offset + performance.now(); },
};

const time = text => text ? Date.parse(text) : 0;

// History keeps, for each time slot, the highest failure rate in percent (NONE
// without calls) and the worst state that was seen.
class History {
  rates = new Uint8Array(SLOTS).fill(NONE);
  states = new Uint8Array(SLOTS).fill(NONE);
  last = 0; // number of the newest slot

  add(now, rate, rank) {
    const slot = Math.floor(now / SLOT);
    if (slot < this.last) return;
    // Over a short gap, as when a large set is asked for less often, the last
    // sample stands; over a long one nothing is known.
    const old = this.last % SLOTS, hold = slot - this.last < 6;
    for (let n = Math.max(this.last + 1, slot - SLOTS + 1); n <= slot; n++) {
      this.rates[n % SLOTS] = hold && n < slot ? this.rates[old] : NONE;
      this.states[n % SLOTS] = hold && n < slot ? this.states[old] : NONE;
    }
    this.last = slot;
    const i = slot % SLOTS;
    const percent = rate < 0 ? NONE : Math.round(rate * 100);
    if (percent !== NONE) this.rates[i] = this.rates[i] === NONE ? percent : Math.max(this.rates[i], percent);
    this.states[i] = Math.min(this.states[i], rank);
  }

  // each calls f(age, rate, state) from the oldest slot to that of now.
  each(now, f) {
    const newest = Math.floor(now / SLOT);
    for (let age = SLOTS - 1; age >= 0; age--) {
      const n = newest - age;
      const known = n <= this.last && n > this.last - SLOTS;
      f(age, known ? this.rates[n % SLOTS] : NONE, known ? this.states[n % SLOTS] : NONE);
    }
  }
}

const RANK = { 'open': 0, 'half-open': 1, 'closed': 2 };

class Circuit {
  history = new History();
  speed = { calls: 0, rejected: 0 }; // per second

  constructor(key) {
    this.key = key;
    this.label = visible(key);
  }

  // take keeps a snapshot.
  take(s, now) {
    const calls = s.totals.successes + s.totals.failures + s.totals.ignored + s.totals.late;
    if (this.s && now > this.at) {
      const seconds = (now - this.at) / 1000;
      this.speed = { calls: (calls - this.calls) / seconds, rejected: (s.totals.rejected - this.s.totals.rejected) / seconds };
    }
    this.s = s;
    this.at = now;
    this.calls = calls;
    this.since = time(s.since);
    this.until = time(s.until);
    this.rank = RANK[s.state] ?? 2;
    this.rate = s.counts.calls > 0 ? s.counts.failures / s.counts.calls : -1;
    this.history.add(now, s.state === 'closed' ? this.rate : -1, this.rank);
  }

  // Open ones first, then half-open ones, then those whose mode is not the usual one.
  get order() { return this.rank < 2 ? this.rank : this.s.mode === 'enforce' ? 3 : 2; }

  get why() { return visible(this.s.reason || ' '); }

  matches(words) {
    if (!words.length) return true;
    const text = (this.label + ' ' + this.why + ' ' + this.s.mode).toLowerCase();
    return words.every(w => text.includes(w));
  }
}

const SORTS = {
  key: () => 0,
  rate: c => c.rate,
  flight: c => c.s.in_flight,
  rejected: c => c.s.totals.rejected,
  opened: c => c.s.totals.opened,
};

const CHIPS = {
  all: { label: 'All', test: () => true },
  open: { label: 'Open', glyph: 'open', test: c => c.s.state === 'open' },
  half: { label: 'Half-open', glyph: 'half-open', test: c => c.s.state === 'half-open' },
  closed: { label: 'Closed', glyph: 'closed', test: c => c.s.state === 'closed' },
  mode: { label: 'Not enforcing', test: c => c.s.mode !== 'enforce' },
};

const circuits = new Map(); // key → Circuit

// takeAll replaces all circuits by those of a document.
function takeAll(doc) {
  const now = clock.now();
  const gone = new Set(circuits.keys());
  for (const s of doc.circuits) {
    let c = circuits.get(s.key);
    if (!c) circuits.set(s.key, c = new Circuit(s.key));
    c.take(s, now);
    gone.delete(s.key);
  }
  for (const key of gone) circuits.delete(key);
}

const compareText = new Intl.Collator('en', { numeric: true }).compare;
let keyOrder = { keys: 0, of: new Map() };

// sorted returns what the chip and the words let through. Sorting ten thousand
// keys takes longer than all else, so their order is kept while they stay.
function sorted(chip, words, sort) {
  if (keyOrder.keys !== circuits.size || [...circuits.keys()].some(k => !keyOrder.of.has(k))) {
    const keys = [...circuits.keys()].sort(compareText);
    keyOrder = { keys: keys.length, of: new Map(keys.map((k, i) => [k, i])) };
  }
  const value = SORTS[sort], test = CHIPS[chip].test;
  return [...circuits.values()]
    .filter(c => test(c) && c.matches(words))
    .sort((a, b) => a.order - b.order || value(b) - value(a) || keyOrder.of.get(a.key) - keyOrder.of.get(b.key));
}

// visible writes out the characters that could hide or turn the text around them.
function visible(text) {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]|[^\S ]/gu, c => '\\u{' + c.codePointAt(0).toString(16) + '}') || '(empty)';
}

const whole = new Intl.NumberFormat('en');
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const number = n => n < 100000 ? whole.format(n) : compact.format(n);

const perSecond = n => n > 0 ? number(Math.ceil(n)) + ' /s' : '';

// Two units at most; tenths only where they tell something.
function duration(ms, tenths) {
  const s = Math.max(0, ms) / 1000;
  if (s < 10 && tenths) return s.toFixed(1) + ' s';
  if (s < 60) return Math.floor(s) + ' s';
  const two = (big, bigUnit, small, smallUnit) => big + ' ' + bigUnit + (small ? ' ' + small + ' ' + smallUnit : '');
  if (s < 3600) return two(Math.floor(s / 60), 'min', Math.floor(s % 60), 's');
  if (s < 86400) return two(Math.floor(s / 3600), 'h', Math.floor(s % 3600 / 60), 'min');
  return two(Math.floor(s / 86400), 'd', Math.floor(s % 86400 / 3600), 'h');
}

const clockText = ms => new Date(ms).toLocaleTimeString([], { hour12: false }) +
  (Math.abs(ms - clock.now()) > 20 * 3600e3 ? ' on ' + new Date(ms).toLocaleDateString() : '');

const percent = rate => rate > 0 && rate < 0.01 ? '< 1 %' : Math.round(rate * 100) + ' %';
