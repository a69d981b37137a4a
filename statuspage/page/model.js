// What the page knows: the circuits that the server lists, and the server's time.

// The server's clock, so that a browser's wrong one moves no countdown.
const clock = {
  offset: Date.now() - performance.now(),
  set(at, received) { this.offset = at - received; },
  now() { return this.offset + performance.now(); },
};

const time = text => text ? Date.parse(text) : 0;

class Circuit {
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
    this.closed = s.state === 'closed';
    this.since = time(s.since);
    this.outage = time(s.outage_since) || this.since;
    this.until = time(s.until);
    // A circuit that is not closed is judged on what it opened on.
    this.counts = this.closed || s.counts.calls > 0 && s.state === 'half-open' ? s.counts : s.opened_on;
  }

  get why() { return visible(this.s.reason || ' '); }
  get opinions() {
    const o = this.shared;
    return o?.heard ? `Fleet: ${plural(o.bad, 'node says', 'nodes say')} bad, ${number(o.good)} good, ${number(o.quiet)} nothing` : '';
  }
  get failure() { return this.closed || !this.s.last_failure ? '' : visible(this.s.last_failure); }
}

const circuits = new Map(); // key → Circuit, in the order of the server
let fleet; // what this process shares, if it does

// takeAll replaces all circuits by those of a document.
function takeAll(doc) {
  const now = clock.now(), old = new Map(circuits);
  fleet = doc.fleet;
  const shared = new Map((fleet?.circuits ?? []).map(s => [s.key, s]));
  circuits.clear();
  for (const s of doc.circuits) {
    const c = old.get(s.key) ?? new Circuit(s.key);
    c.take(s, now);
    c.shared = shared.get(s.key);
    circuits.set(s.key, c);
  }
}

// What the server is asked for, and how many there are of it.
const CHIPS = {
  all: { label: 'All', query: [], of: s => s.states.open + s.states['half-open'] + s.states.closed },
  open: { label: 'Open', glyph: 'open', query: [['state', 'open']], of: s => s.states.open },
  half: { label: 'Half-open', glyph: 'half-open', query: [['state', 'half-open']], of: s => s.states['half-open'] },
  closed: { label: 'Closed', glyph: 'closed', query: [['state', 'closed']], of: s => s.states.closed },
  mode: { label: 'Not enforcing', query: [['mode', 'observe'], ['mode', 'force-open'], ['mode', 'disabled']], of: s => s.not_enforcing },
};

// visible writes out the characters that could hide or turn the text around them.
function visible(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]|[^\S ]/gu, c => '\\u{' + c.codePointAt(0).toString(16) + '}') || '(empty)';
}

const whole = new Intl.NumberFormat('en');
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const number = n => n < 100000 ? whole.format(n) : compact.format(n);
const plural = (n, one, many = one + 's') => number(n) + ' ' + (n === 1 ? one : many);

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
