// Recent events: one entry for each outage, and one for each act of an operator.

const seen = new Set(); // ids, for a list that is sent once more
const news = []; // to announce
const outages = new Map(); // key and beginning → entry

const KEPT = 200; // entries

function listen() {
  const source = new EventSource('events');
  const on = (name, f) => source.addEventListener(name, e => {
    if (e.lastEventId && name !== 'lost') {
      if (seen.has(e.lastEventId)) return;
      seen.add(e.lastEventId);
    }
    f(JSON.parse(e.data));
  });
  on('transition', t => {
    const text = showOutage(t);
    if (clock.now() - time(t.at) < 5000) news.push(visible(t.key) + ' ' + text);
    pollSoon();
  });
  on('control', c => {
    const what = { reset: 'reset', trip: 'tripped' }[c.action] ?? 'set to ' + c.mode;
    const entry = new Entry(c.key, c.key ? visible(c.key) : 'All circuits');
    entry.show('', time(c.at), what + ' by an operator', [visible(c.reason || '')]);
    pollSoon();
  });
  on('lost', l => new Entry('', '…').show('', clock.now(), 'up to ' + plural(l.lost, 'event') + ' lost', ['this page was too slow for them']));
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  };
}

// Entry is a line of the list; a new one stands on top.
class Entry {
  constructor(key, label) {
    this.at = el('time');
    this.glyph = el('span.glyph');
    this.what = el('b');
    this.notes = el('small');
    this.name = keyButton(label);
    this.name.title = 'Show only ' + label;
    this.name.onclick = () => setFilter(key ? label : '');
    this.li = el('li', this.at, this.glyph, el('span.what', this.name, el('span', this.what, ' ', this.notes)));
    this.rise();
  }

  rise() {
    const list = $('events');
    list.prepend(this.li);
    while (list.childElementCount > KEPT) list.lastChild.remove();
  }

  show(state, at, what, notes) {
    this.li.dataset.state = state;
    setText(this.at, clockText(at));
    setText(this.what, what);
    setText(this.notes, notes.filter(Boolean).join(' · '));
    const drawn = state ? glyph(state) : el('span.glyph');
    this.glyph.replaceWith(drawn);
    this.glyph = drawn;
  }
}

// showOutage shows what a transition makes of its outage, and returns it in few
// words.
function showOutage(t) {
  const id = t.key + '\n' + t.outage_since, at = time(t.at), ended = t.to === 'closed';
  const since = time(t.outage_since) || (t.from === 'closed' ? at : time(t.since)); // forced open is no outage
  const rejected = t.outage_since ? t.outage_rejected : t.from === 'closed' ? 0 : t.rejected;
  let entry = outages.get(id);
  if (!entry) outages.set(id, entry = new Entry(t.key, visible(t.key)));
  if (t.from === 'closed') entry.began = t.reason;
  const failure = t.last_failure && visible(t.last_failure);
  const times = t.outage_opened > 1 ? 'opened ' + plural(t.outage_opened, 'time') : '';
  const what = ended ? 'closed after ' + duration(at - since)
    : t.to === 'half-open' ? times || (t.from === 'closed' ? 'half-open' : 'opened')
      : times || 'opened';
  entry.show(t.to, ended ? at : since, what, [
    visible(entry.began ?? t.reason),
    failure && 'last failure: ' + failure,
    ended ? times : t.to === 'half-open' && what !== 'half-open' && 'now half-open',
    rejected > 0 && number(rejected) + (t.mode === 'observe' ? ' would have been rejected' : ' rejected'),
  ]);
  if (ended) {
    entry.rise();
    outages.delete(id);
  }
  if (outages.size > 2 * KEPT) outages.clear(); // those that no end was heard of
  return (ended ? 'closed' : t.to === 'open' ? 'opened' : 'half-open') + ': ' + visible(t.reason || ' ');
}

// announce tells a screen reader what has just happened, in few words.
function announce() {
  if (!news.length) return;
  const said = news.splice(0);
  $('announce').textContent = said.length > 3 ? `${said.length} changes. Last: ${said.at(-1)}.` : said.join('. ') + '.';
}
