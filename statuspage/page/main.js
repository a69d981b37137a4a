// The page at work: polling, events, choosing, controls.

const PAGE = 100; // rows at first, and more for each press of "Show more"
const view = { chip: 'all', words: [], sort: 'key', limit: PAGE };

function render() {
  const list = sorted(view.chip, view.words, view.sort);
  const shown = list.slice(0, view.limit);
  showRows(shown);
  showChips(view.chip);
  showTitle();
  setText($('shown'), list.length > shown.length ? `Showing ${whole.format(shown.length)} of ${whole.format(list.length)} circuits.` : '');
  $('more').hidden = list.length === shown.length;
  $('empty').hidden = list.length > 0;
  setText($('empty'), circuits.size ? 'No circuit matches.' : 'No circuits yet. Each appears with its first call.');
}

let polling = 0; // the timer
let busy = false;
let answered = 0;

async function poll() {
  if (busy) return;
  busy = true;
  clearTimeout(polling);
  const began = performance.now();
  let wait = 2000;
  try {
    const response = await fetch('circuits', { cache: 'no-store', signal: AbortSignal.timeout(10000) });
    if (!response.ok) throw new Error(response.status + ' ' + response.statusText);
    const doc = await response.json();
    clock.set(time(doc.at), performance.now());
    takeAll(doc);
    showSum(doc.set);
    render();
    answered = Date.now();
    setText($('link'), 'Live');
    setAttr(document.body, 'data-link', 'live');
    // A set so large that it takes long is asked for less often.
    wait = Math.max(document.hidden ? 10000 : 1000, 5 * (performance.now() - began));
  } catch (e) {
    setAttr(document.body, 'data-link', 'lost');
    setText($('link'), answered ? 'No answer since ' + clockText(answered) + '. Trying again.' : 'No answer yet. Trying again.');
  }
  busy = false;
  polling = setTimeout(poll, wait);
}

// pollSoon follows an event, without asking a large set for each of many.
function pollSoon() {
  if (busy || circuits.size > 1000) return;
  clearTimeout(polling);
  polling = setTimeout(poll, 100);
}

function showSum(set) {
  let flight = 0, rejected = 0;
  for (const c of circuits.values()) {
    flight += c.s.in_flight;
    rejected += c.s.totals.rejected;
  }
  let text = `${number(set.keys)} circuits, ${number(flight)} calls in flight, ${number(rejected)} rejected so far. Charts are shaded while a circuit was not closed.`;
  if (set.evicted + set.demoted) text += ` The set is full: ${number(set.evicted)} idle circuits were given up.`;
  if (set.records) text += ` ${number(set.records)} more open circuits had to go; only until when they are open is known.`;
  setText($('sum'), text);
}

// Events.

const seen = new Set(); // ids, for a list that is sent once more
const news = []; // to announce

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
    const at = time(t.at), verb = t.to === 'open' && t.from === 'half-open' ? 'opened again' : VERBS[t.to] ?? t.to;
    const reason = t.to === 'half-open' ? '' : t.reason; // the opening's, which stands just below
    showEvent(t.to, at, t.key, verb, [reason && visible(reason), t.rejected ? number(t.rejected) + ' rejected before' : '']);
    if (clock.now() - at < 5000) news.push([t.key, verb, t.reason]);
    pollSoon();
  });
  on('control', c => {
    const what = c.action === 'reset' ? 'reset by an operator' : 'set to ' + c.mode + ' by an operator';
    showEvent('', time(c.at), c.key, what, [visible(c.reason)]);
    pollSoon();
  });
  on('lost', l => showEvent('', clock.now(), '…', number(l.lost) + ' events lost', ['this page was too slow for them']));
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  };
}

// announce tells a screen reader what has just happened, in few words.
function announce() {
  if (!news.length) return;
  const said = news.splice(0);
  $('announce').textContent = said.length > 3
    ? `${said.length} changes. Last: ${visible(said.at(-1)[0])} ${said.at(-1)[1]}.`
    : said.map(([key, verb, reason]) => `${visible(key)} ${verb}: ${visible(reason || '')}.`).join(' ');
}

// Choosing.

function setFilter(text) {
  $('filter').value = text;
  view.words = text.toLowerCase().split(/\s+/).filter(Boolean);
  view.limit = PAGE;
  render();
}

$('filter').oninput = e => setFilter(e.target.value);
$('sort').onchange = e => { view.sort = e.target.value; render(); };
$('more').onclick = () => { view.limit += PAGE; render(); };
$('chips').onclick = e => {
  const chip = e.target.closest('button')?.dataset.chip;
  if (!chip) return;
  view.chip = view.chip === chip ? 'all' : chip;
  view.limit = PAGE;
  render();
};
document.addEventListener('keydown', e => {
  if (e.key === '/' && !e.ctrlKey && !e.metaKey && !e.altKey && !e.target.closest('input, select, dialog')) {
    e.preventDefault();
    $('filter').focus();
  }
});

// Controls.

let controlled; // the Circuit that the dialog is about

function openControl(c) {
  controlled = c;
  $('control-form').reset();
  setText($('control-key'), c.label);
  setText($('control-now'), `Now ${c.s.state}, mode ${c.s.mode}.` + (c.s.reason ? ` ${visible(c.s.reason)}` : ''));
  setText($('control-error'), '');
  $('control').showModal();
}

async function applyControl(e) {
  e.preventDefault();
  const form = new FormData($('control-form'));
  const action = form.get('action'), reset = action === 'reset';
  const body = new URLSearchParams({ reason: $('control-reason').value });
  if (!reset) body.set('mode', action);
  $('control-apply').disabled = true;
  try {
    const url = `circuits/${encodeURIComponent(controlled.key)}/${reset ? 'reset' : 'mode'}`;
    const response = await fetch(url, { method: 'POST', body, signal: AbortSignal.timeout(10000) });
    if (!response.ok) {
      const text = await response.json().then(r => r.error, () => response.statusText);
      throw new Error(visible(text));
    }
    $('control').close();
    poll();
  } catch (err) {
    setText($('control-error'), 'Not done: ' + err.message);
  }
  $('control-apply').disabled = false;
}

if (canControl) {
  const th = el('th', el('span.away', 'Control'));
  th.scope = 'col';
  th.setAttribute('role', 'columnheader');
  document.querySelector('thead tr').append(th);
  $('control-form').onsubmit = applyControl;
  $('control-cancel').onclick = () => $('control').close();
}

showChips(view.chip);
poll();
listen();
setInterval(() => { for (const row of rows.values()) row.tick(clock.now()); }, 200);
setInterval(announce, 1500);
document.addEventListener('visibilitychange', () => { if (!document.hidden) poll(); });
