// The page at work: polling, choosing, controls.

const PAGE = 100; // rows at first, and more for each press of "Show more"
const view = { chip: 'all', filter: '', sort: 'key', limit: PAGE };

let polling = 0; // the timer
let busy = false, again = false;
let answered = 0; // when
let took = 0; // milliseconds, until the last answer was shown

// poll asks for the circuits that the page shows, and for no others: a set may be
// large.
async function poll() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  again = false;
  clearTimeout(polling);
  const began = performance.now();
  const query = new URLSearchParams([...CHIPS[view.chip].query, ['history', ''], ['sort', view.sort], ['limit', view.limit], ['filter', view.filter]]);
  let wait = 2000;
  const doc = await ask('circuits?' + query);
  if (doc) {
    clock.set(time(doc.at), performance.now());
    takeAll(doc);
    render(doc);
    answered = Date.now();
    // A set so large that it takes long is asked for less often.
    took = performance.now() - began;
    wait = Math.max(document.hidden ? 10000 : 1000, 5 * took);
  }
  setAttr(document.body, 'data-link', doc ? 'live' : 'lost');
  setText($('link'), doc ? 'Live' : answered ? 'No answer since ' + clockText(answered) + '. Trying again.' : 'No answer yet. Trying again.');
  busy = false;
  polling = setTimeout(poll, again ? 0 : wait);
}

// ask returns the JSON at a URL, or nothing if there is no answer.
async function ask(url) {
  try {
    const response = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(10000) });
    return response.ok ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}

// pollSoon follows an event, and many events at once; not if the answers take long.
function pollSoon() {
  if (took > 100) return;
  clearTimeout(polling);
  polling = setTimeout(poll, 200);
}

function render(doc) {
  showRows([...circuits.values()]);
  showChips(view.chip, doc.sums);
  showTitle(doc.sums.states.open);
  showSum(doc.set, doc.sums);
  showAll(doc.all);
  showFleet(doc.fleet);
  const hidden = doc.matching - doc.circuits.length;
  setText($('shown'), hidden > 0 ? `Showing ${whole.format(doc.circuits.length)} of ${whole.format(doc.matching)} circuits.` : '');
  $('more').hidden = hidden <= 0;
  $('empty').hidden = doc.circuits.length > 0;
  setText($('empty'), doc.set.keys ? 'No circuit matches.' : 'No circuits yet. Each appears with its first call.');
}

function showSum(set, sums) {
  let text = `${plural(set.keys, 'circuit')}, ${plural(sums.in_flight, 'call')} in flight, ${number(sums.rejected)} rejected so far. Charts are shaded while a circuit was not closed; they show a circuit from its first failure on, or from when this page first showed it.`;
  if (set.evicted + set.demoted) text += ` The set is full: ${plural(set.evicted, 'idle circuit was', 'idle circuits were')} given up.`;
  if (set.evicted_active) text += ` ${plural(set.evicted_active, 'circuit was', 'circuits were')} given up although in use: MaxKeys is too small.`;
  if (set.records) text += ` ${plural(set.records, 'more open circuit', 'more open circuits')} had to go; only until when they are open is known.`;
  setText($('sum'), text);
}

// showAll says what somebody has done to all circuits at once.
function showAll(all) {
  $('all').hidden = !all;
  if (all) setText($('all'), `All circuits are ${MODES[all.mode]} since ${clockText(time(all.at))}: ${visible(all.reason || ' ')}`);
}

// Choosing.

function choose(change) {
  Object.assign(view, { limit: PAGE }, change);
  poll();
}

function setFilter(text) {
  $('filter').value = text;
  choose({ filter: text });
}

$('filter').oninput = e => setFilter(e.target.value);
$('sort').onchange = e => choose({ sort: e.target.value });
$('more').onclick = () => choose({ limit: view.limit + PAGE });
$('chips').onclick = e => {
  const chip = e.target.closest('button')?.dataset.chip;
  if (!chip) return;
  choose({ chip: view.chip === chip ? 'all' : chip });
};
document.addEventListener('keydown', e => {
  if (e.key === '/' && !e.ctrlKey && !e.metaKey && !e.altKey && !e.target.closest('input, select, dialog')) {
    e.preventDefault();
    $('filter').focus();
  }
});

// Controls.

let controlled; // the Circuit that the dialog is about; nothing for all circuits

function openControl(c) {
  controlled = c;
  $('control-form').reset();
  setText($('control-title'), c ? 'Control' : 'Control all circuits');
  setText($('control-key'), c ? c.label : '');
  setText($('control-error'), '');
  showScope();
  $('control').showModal();
}

const ofFleet = () => new FormData($('control-form')).get('where') === 'fleet';

// showScope says where and for how long it will be so.
function showScope() {
  const c = controlled, wide = ofFleet();
  const those = 'Those that there are, whatever their mode is, and those to come, ';
  if (c && !wide) setText($('control-now'), `Now ${c.s.state}, mode ${c.s.mode}` + (c.s.reason ? `: ${visible(c.s.reason)}` : '.'));
  else if (c) setText($('control-now'), 'In every process of the fleet, whatever its mode is there.');
  else setText($('control-now'), wide ? those + 'in every process of the fleet.' : those + 'until the mode is set again or the program restarts.');
  const lasting = wide && 'for ' + $('control-for').selectedOptions[0].label;
  for (const e of document.querySelectorAll('.until')) setText(e, lasting || 'until the mode is set again');
  const reset = $('control-reset');
  reset.hidden = !c || wide;
  if (reset.hidden) reset.firstChild.checked = false;
  if (!$('control-fleet')) return;
  setText($('control-fleet'), fleetName());
  $('control-for').disabled = !wide || new FormData($('control-form')).get('action') === 'enforce';
}

async function applyControl(e) {
  e.preventDefault();
  const form = new FormData($('control-form'));
  const action = form.get('action'), reset = action === 'reset';
  const body = new URLSearchParams({ reason: $('control-reason').value });
  if (!reset) body.set('mode', action);
  let url = controlled ? `circuits/${encodeURIComponent(controlled.key)}/${reset ? 'reset' : 'mode'}` : 'mode';
  if (ofFleet()) {
    url = 'fleet/mode';
    body.set('key', controlled?.key ?? '');
    body.set('for', $('control-for').value);
  }
  $('control-apply').disabled = true;
  try {
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
  $('control-form').onchange = showScope;
  $('control-all').onclick = () => openControl();
  $('control-cancel').onclick = () => $('control').close();
}

poll();
listen();
setInterval(() => { for (const row of rows.values()) row.tick(clock.now()); }, 200);
setInterval(announce, 1500);
document.addEventListener('visibilitychange', () => { if (!document.hidden) poll(); });
