// What the page shows. Text reaches the document through textContent and
// attributes only, so that no key can become markup.

const $ = id => document.getElementById(id);
const canControl = document.documentElement.dataset.control === 'true';

// el makes an element: el('td.num', child or text, …).
function el(spec, ...children) {
  const [tag, ...classes] = spec.split('.');
  const e = document.createElement(tag);
  if (classes.length) e.className = classes.join(' ');
  e.append(...children);
  return e;
}

function svg(tag, attributes, ...children) {
  const e = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

const glyph = state => svg('svg', { class: 'glyph ' + state, 'aria-hidden': 'true' }, svg('use', { href: '#sw-' + state }));

// The setters below write only what has changed: most rows are quiet.
function setText(e, text) { if (e.textContent !== text) e.textContent = text; }
function setAttr(e, name, value) { if (e.getAttribute(name) !== value) e.setAttribute(name, value); }

// keyButton shows a key so that its end, where keys of one host differ, stays in
// sight where there is little room: what is cut is its middle.
const TAIL = 18; // characters; page.css has it, too
function keyButton(label) {
  const at = label.length > TAIL + 8 ? label.length - TAIL : 0;
  const e = el('button.key', ...(at ? [el('span.head', label.slice(0, at))] : []), label.slice(at));
  e.type = 'button';
  return e;
}

const STATES = { 'open': 'Open', 'half-open': 'Half-open', 'closed': 'Closed' };
const ORIGINS = { 'rules': 'its rules', 'probe': 'a probe', 'peer': 'the host', 'operator': 'an operator', 'fleet': 'the fleet' };
const MODES = { 'enforce': 'enforcing', 'observe': 'observing', 'force-open': 'forced open', 'disabled': 'disabled' };

// Row is one circuit in the table.
class Row {
  constructor(c) {
    this.c = c;
    this.state = el('b');
    this.since = el('small');
    this.use = svg('use', {});
    this.glyph = svg('svg', { class: 'glyph', 'aria-hidden': 'true' }, this.use);
    this.key = keyButton(c.label);
    this.key.title = c.label;
    this.key.setAttribute('aria-expanded', 'false');
    this.key.onclick = () => this.toggle();
    this.mode = el('span.mode');
    this.fleet = el('span.mode');
    this.reason = el('small.reason');
    this.opinions = el('small.reason.failure');
    this.failure = el('small.reason.failure');
    this.next = el('span');
    this.fill = el('i');
    this.bar = el('span.countdown', this.fill);
    this.percent = el('b');
    [this.of, this.when] = [el('small'), el('small')];
    this.chart = new Chart();
    this.flight = el('span');
    [this.calls, this.perSecond] = [el('span'), el('small')];
    [this.rejected, this.rejectedPerSecond] = [el('span'), el('small')];
    [this.opened, this.openTime] = [el('span'), el('small')];

    this.tr = el('tr',
      cell('State', 'td.state', this.glyph, el('span.two', this.state, this.since)),
      cell('Circuit', 'th.circuit', el('span.name', this.key, this.mode, this.fleet), this.reason, this.opinions, this.failure),
      cell('What next', 'td.next', this.next, this.bar),
      cell('Failure rate', 'td.rate', el('span.two', this.percent, this.of, this.when), this.chart.svg),
      cell('In flight', 'td.num', this.flight),
      cell('Calls', 'td.num', this.calls, this.perSecond),
      cell('Rejected', 'td.num.rejected', this.rejected, this.rejectedPerSecond),
      cell('Opened', 'td.num', this.opened, this.openTime));
    this.tr.setAttribute('role', 'row');
    if (canControl) {
      const button = el('button.control', 'Control');
      button.type = 'button';
      button.setAttribute('aria-label', 'Control ' + c.label);
      button.onclick = () => openControl(this.c);
      this.tr.append(cell('', 'td.act', button));
    }
  }

  update(now) {
    const { c, c: { s } } = this;
    setAttr(this.tr, 'data-state', s.state);
    setAttr(this.tr, 'data-mode', s.mode);
    setAttr(this.use, 'href', '#sw-' + s.state);
    setText(this.state, STATES[s.state] ?? s.state);
    setAttr(this.since, 'title', (c.closed ? 'closed since ' : 'not closed since ') + clockText(c.closed ? c.since : c.outage));
    setText(this.mode, s.mode === 'enforce' ? '' : MODES[s.mode] ?? s.mode);
    setText(this.fleet, s.fleet ? 'held by the fleet' : '');
    setText(this.reason, c.why);
    setAttr(this.reason, 'title', c.why);
    setText(this.opinions, c.opinions);
    setAttr(this.opinions, 'title', c.opinions && 'heard at ' + clockText(time(c.shared.heard)));
    setText(this.failure, c.failure && 'Last failure: ' + c.failure);
    setAttr(this.failure, 'title', c.failure);

    const counts = c.counts, judged = counts?.calls > 0;
    const opened = judged && counts !== s.counts, rate = judged ? counts.failures / counts.calls : 0;
    const row = opened && rate < 0.5 && counts.consecutive_failures > 1; // what opened it, then
    setText(this.percent, !judged ? '–' : row ? number(counts.consecutive_failures) + ' in a row' : percent(rate));
    setText(this.of, judged ? number(counts.failures) + ' of ' + plural(counts.calls, 'call') : c.closed ? 'no calls' : '');
    setText(this.when, opened ? 'when it opened' : '');
    this.chart.draw(s.history);
    setText(this.flight, number(s.in_flight));
    setText(this.calls, number(c.calls));
    setText(this.perSecond, perSecond(c.speed.calls));
    setText(this.rejected, number(s.totals.rejected));
    setText(this.rejectedPerSecond, perSecond(c.speed.rejected));
    setText(this.opened, s.totals.opened ? number(s.totals.opened) + ' ×' : '–');
    setText(this.openTime, s.totals.opened ? duration(s.totals.open_time_ns / 1e6) : '');
    this.tick(now);
    if (this.detail) this.showDetail();
  }

  // tick moves what depends on the time alone.
  tick(now) {
    const { c, c: { s } } = this;
    setText(this.since, 'for ' + duration(now - (c.closed ? c.since : c.outage)));
    let text = '', left = 0;
    if (s.state === 'half-open') text = s.share > 0 ? percent(s.share) + ' let through' : 'probing';
    else if (s.state === 'open' && !c.until) text = 'until set back';
    else if (s.state === 'open' && c.until > now) {
      left = c.until - now;
      text = 'try in ' + duration(left, true);
    } else if (s.state === 'open') text = 'try on next call';
    setText(this.next, text);
    setAttr(this.next, 'title', left ? 'the first call from ' + clockText(c.until) + ' on' : '');
    this.bar.hidden = left === 0;
    if (left) this.fill.style.transform = 'scaleX(' + Math.min(1, left / Math.max(1, c.until - c.since)) + ')';
  }

  // toggle shows or hides all there is to know.
  toggle() {
    if (this.detail) {
      this.detail.remove();
      this.detail = undefined;
    } else {
      this.detail = el('tr.detail', this.facts());
      this.detail.setAttribute('role', 'row');
      this.tr.after(this.detail);
      this.showDetail();
    }
    this.key.setAttribute('aria-expanded', String(!!this.detail));
  }

  facts() {
    const link = el('a', 'JSON');
    link.href = 'circuits/' + encodeURIComponent(this.c.key);
    const td = cell('', 'td', el('dl'), link);
    td.colSpan = canControl ? 9 : 8;
    return td;
  }

  showDetail() {
    const { c, c: { s, s: { counts, totals } } } = this;
    const judged = k => k ? `${plural(k.calls, 'call')}, ${number(k.failures)} failed, ${number(k.slow)} slow` : '–';
    const facts = {
      'Key': c.label, 'Reason': c.why.trim() || '–',
      'Last failure': s.last_failure ? visible(s.last_failure) : '–',
      'Outage since': c.closed ? '–' : clockText(c.outage), 'State since': clockText(c.since),
      'Next try': c.until ? clockText(c.until) : '–', 'Let through': percent(s.share),
      'Mode': s.mode, 'Moved by': ORIGINS[s.origin] ?? s.origin,
      'When it opened': judged(s.opened_on), 'In the window': judged(counts),
      'Failed in a row': counts.consecutive_failures, 'Overdue now': counts.overdue,
      'Opened in this outage': c.closed ? '–' : s.outage_opened ?? 0, 'Rejected in it': c.closed ? '–' : s.outage_rejected ?? 0,
      'Successes': totals.successes, 'Failures': totals.failures, 'Ignored': totals.ignored,
      'Slow': totals.slow, 'Late': totals.late, 'Rejected': totals.rejected, 'Bodies still open': s.answered,
    };
    const dl = this.detail.querySelector('dl');
    for (const [i, [name, value]] of Object.entries(facts).entries()) {
      if (!dl.children[i]) dl.append(el('div', el('dt', name), el('dd')));
      setText(dl.children[i].lastChild, typeof value === 'number' ? whole.format(value) : value);
    }
  }
}

function cell(label, spec, ...children) {
  const e = el(spec, ...children);
  e.setAttribute('role', spec.startsWith('th') ? 'rowheader' : 'cell');
  e.dataset.label = label; // shown where the table is too narrow for its head
  return e;
}

// Chart draws what the server remembers of a circuit: a bar for each slot, over
// the times in which it was not closed. The last slot is that of now.
const SLOTS = 100;
class Chart {
  static STEP = 2;
  static HEIGHT = 28;
  open = svg('path', { class: 'was-open' });
  half = svg('path', { class: 'was-half-open' });
  bars = svg('path', { class: 'bars' });
  calm = svg('path', { class: 'calm' });
  svg = svg('svg', { class: 'chart', role: 'img', width: SLOTS * Chart.STEP, height: Chart.HEIGHT }, this.open, this.half, this.calm, this.bars);

  draw(history) {
    const { STEP, HEIGHT } = Chart, rates = history?.rates ?? [];
    let bars = '', calm = '', open = '', half = '', peak = -1;
    rates.forEach((rate, i) => {
      const x = (SLOTS - rates.length + i) * STEP, state = history.states[i];
      const column = `M${x} 0h${STEP}v${HEIGHT}h-${STEP}z`;
      if (state === 'o') open += column;
      if (state === 'h') half += column;
      if (rate < 0) return;
      peak = Math.max(peak, rate);
      const y = Math.max(1, Math.round(rate / 100 * HEIGHT)), bar = `M${x} ${HEIGHT - y}h${STEP}v${y}h-${STEP}z`;
      if (rate > 0) bars += bar;
      else calm += bar;
    });
    setAttr(this.open, 'd', open);
    setAttr(this.half, 'd', half);
    setAttr(this.calm, 'd', calm);
    setAttr(this.bars, 'd', bars);
    setAttr(this.svg, 'aria-label', (peak < 0 ? 'no failures seen' : 'at most ' + peak + ' %') + (open ? ', was open' : half ? ', was half-open' : ''));
  }
}

const rows = new Map(); // Circuit → Row, of those in the table

// showRows lets the table hold just these circuits, in this order.
function showRows(list) {
  const body = $('rows'), now = clock.now(), focused = document.activeElement;
  const wanted = new Set(list);
  for (const [c, row] of rows) {
    if (wanted.has(c)) continue;
    row.detail?.remove();
    row.tr.remove();
    rows.delete(c);
  }
  let at = body.firstChild;
  for (const c of list) {
    let row = rows.get(c);
    if (!row) rows.set(c, row = new Row(c));
    row.update(now);
    for (const tr of row.detail ? [row.tr, row.detail] : [row.tr]) {
      if (tr === at) at = at.nextSibling;
      else body.insertBefore(tr, at);
    }
  }
  if (focused !== document.activeElement && body.contains(focused)) focused.focus(); // moving a row takes it away
}

// showFleet says what is shared with other processes, and whether they can be reached.
function showFleet(f) {
  $('fleet').hidden = !f;
  if (!f) return;
  const down = f.circuits?.filter(c => c.down).length ?? 0;
  const suspected = f.circuits?.filter(c => !c.down && c.bad > 0).length ?? 0;
  const all = f.modes?.find(m => m.key === ''), set = (f.modes?.length ?? 0) - (all ? 1 : 0);
  const since = f.since ? ' since ' + clockText(time(f.since)) : '';
  const error = text => text ? ' (' + visible(text) + ')' : '';
  const parts = [
    f.reachable ? 'connected' + since : `not reachable${since}, this process decides alone` + error(f.error),
    f.reachable && !f.listening && 'no messages arrive, it asks instead' + error(f.listen_error),
    down && plural(down, 'circuit') + ' down for all',
    suspected && plural(suspected, 'circuit') + ' suspected',
    f.dropped && plural(f.dropped, 'message') + ' dropped',
    all && `all circuits ${MODES[all.mode] ?? all.mode} until ${clockText(time(all.until))}: ${visible(all.reason)}` + (all.by ? ', by ' + visible(all.by) : ''),
    set && plural(set, 'circuit') + ' with a mode set for the fleet',
  ];
  setAttr($('fleet'), 'data-well', String(!!(f.reachable && f.listening && !all)));
  setText($('fleet'), fleetName() + ': ' + parts.filter(Boolean).join(' · '));
}

const fleetName = () => ('Fleet ' + visible(fleet?.fleet || ' ')).trim();

// showChips writes how many circuits there are of each kind.
function showChips(chosen, sums) {
  const box = $('chips');
  for (const [name, chip] of Object.entries(CHIPS)) {
    if (!chip.button) {
      chip.count = el('b');
      chip.button = el('button', chip.label + ' ', chip.count);
      if (chip.glyph) chip.button.prepend(glyph(chip.glyph));
      chip.button.type = 'button';
      chip.button.dataset.chip = name;
      box.append(chip.button);
    }
    const count = chip.of(sums);
    setText(chip.count, number(count));
    setAttr(chip.button, 'aria-pressed', String(name === chosen));
    setAttr(chip.button, 'data-none', String(count === 0));
  }
}

// showTitle tells the state of things to whoever has another tab in front.
function showTitle(open) {
  const title = document.querySelector('h1').textContent;
  document.title = open ? `(${open} open) ${title}` : title;
  const arm = open ? '9 21 24 7' : '9 21h14';
  const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="none" stroke="${open ? '#d0391f' : '#3d7a63'}" stroke-width="4" stroke-linecap="round"><path d="M2 21h3M27 21h3M${arm}"/><circle cx="7" cy="21" r="2"/><circle cx="25" cy="21" r="2"/></g></svg>`;
  setAttr($('icon'), 'href', 'data:image/svg+xml,' + encodeURIComponent(icon));
}
