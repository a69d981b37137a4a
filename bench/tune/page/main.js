// What happens when something is moved, dropped or followed.

let log = null;      // { number, name, file } of the log that is replayed
let wanted = null;   // name of a log that a link asks for
let moved = 0;       // when the last change was made that is not drawn yet
let asking = false, again = false;

// play asks for what the sliders say. While an answer is on its way only the last
// of further changes is remembered, so that the page never lags behind more than once.
async function play() {
  if (asking) { again = true; return; }
  asking = true;
  const began = moved;
  try {
    const faulty = log ? null : { from: Number(document.body.dataset.begins), to: Number(document.body.dataset.begins) + valueOf($('#for')) };
    const r = await fetch('play', { method: 'POST', body: JSON.stringify({
      traffic: trafficOf(), log: log?.number ?? 0, config: config(), beside: $('#beside').value,
    }) });
    const answer = await r.json();
    if (!r.ok) throw new Error(answer.error);
    if (!again) {
      draw(answer, faulty, log !== null);
      fail('');
      document.body.dataset.took = Math.round(performance.now() - began);
      tell(answer);
    }
  } catch (e) {
    fail(e instanceof TypeError ? 'The program that serves this page does not answer any more.' : e.message);
  }
  asking = false;
  document.body.classList.remove('busy');
  if (again) { again = false; play(); }
  else document.body.dataset.drawn = Number(document.body.dataset.drawn ?? 0) + 1;
}

function fail(message) {
  $('#error').textContent = message;
  $('#error').hidden = !message;
}

// tell says the outcome to who cannot see the charts, once the slider rests.
let telling;
function tell(answer) {
  clearTimeout(telling);
  telling = setTimeout(() => {
    const yours = answer.guards[1].total;
    $('#status').textContent = `With your settings ${part(yours.spared, yours.failed)} of the failures are spared and ${part(yours.lost, yours.good)} of the good answers lost.`;
  }, 500);
}

let late;
function change() {
  moved = performance.now();
  fit();
  history.replaceState(null, '', '#' + link(log?.name ?? wanted));
  clearTimeout(late);
  late = setTimeout(() => { if (asking) document.body.classList.add('busy'); }, 400);
  play();
}

// read hands a log to the server.
function read(file) {
  const q = new URLSearchParams({ name: file.name });
  for (const input of $$('[data-query]')) if (input.value) q.set(input.dataset.query, input.value);
  const bar = $('#log-progress'), request = new XMLHttpRequest();
  bar.value = 0;
  bar.hidden = false;
  request.upload.onprogress = e => { if (e.lengthComputable) bar.value = e.loaded / e.total; };
  request.onloadend = () => {
    bar.hidden = true;
    let answer;
    try { answer = JSON.parse(request.responseText); } catch { answer = { error: 'The program that serves this page does not answer any more.' }; }
    if (request.status !== 200) {
      said([`${file.name}: ${answer.error}`]);
      otherwise(file);
      return;
    }
    log = { number: answer.log, name: file.name, file };
    wanted = null;
    const f = answer.file, day = t => t.slice(0, 19).replace('T', ' ');
    said([
      `${file.name}: ${f.format}, ${whole(f.calls)} calls to ${answer.hosts === 1 ? '1 host' : whole(answer.hosts) + ' hosts'}, ${day(answer.from)} to ${day(answer.to)} UTC`,
      ...f.guesses.map(g => g.replace(/;? -[a-z-]+( names it)?/, '')), // flags are for the command line
      ...(f.no_call ? [`${whole(f.no_call)} lines are of requests for which no host was called`] : []),
      ...(f.dropped ? [`the recording lacks ${whole(f.dropped)} calls`] : []),
      ...(f.bad ? [`${f.bad === 1 ? '1 line' : whole(f.bad) + ' lines'} could not be read:`, ...f.bad_lines.map(b => `line ${b.line}: ${b.why}: ${b.text}`)] : []),
    ]);
    otherwise(file);
    source();
    change();
  };
  request.open('POST', 'log?' + q);
  request.send(file);
}

const said = lines => $('#log-said').replaceChildren(...lines.map(l => element('li', l)));

let chosen = null; // the file that can be read again
function otherwise(file) {
  chosen = file;
  $('#log-otherwise').hidden = false;
}

// source shows what belongs to the calls that are played: made up, or of a log.
function source() {
  for (const id of ['#traffic', '#fault-part']) $(id).hidden = log !== null;
  $('#log-close').hidden = log === null;
  $('#lead').textContent = log ? `The calls of ${log.name}, as they were. Move a slider.`
    : 'Five minutes of calls to one host, and a fault that begins after one. Move a slider.';
}

sliders().forEach(setUp);
wanted = follow(location.hash.slice(1));
if (wanted) said([`This link was made with the log ${wanted}. Drop it here to see the same.`]);

$('#controls').addEventListener('input', e => {
  if (e.target.type === 'range') show(e.target);
  change();
});
$('#controls').addEventListener('submit', e => e.preventDefault());
addEventListener('hashchange', () => { wanted = follow(location.hash.slice(1)); change(); });

$('#reset').addEventListener('click', () => { follow(''); change(); });
$('#copy').addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    $('#copy').textContent = 'Copied';
  } catch {
    $('#copy').textContent = 'It is in the address bar';
  }
  setTimeout(() => { $('#copy').textContent = 'Copy a link to this'; }, 2000);
});

$('#log-file').addEventListener('change', e => { if (e.target.files[0]) read(e.target.files[0]); e.target.value = ''; });
$('#log-again').addEventListener('click', () => { if (chosen) read(chosen); });
$('#log-close').addEventListener('click', () => { log = null; said([]); $('#log-otherwise').hidden = true; source(); change(); });

addEventListener('dragover', e => { e.preventDefault(); $('#drop').hidden = false; });
addEventListener('dragleave', e => { if (!e.relatedTarget) $('#drop').hidden = true; });
addEventListener('drop', e => {
  e.preventDefault();
  $('#drop').hidden = true;
  if (e.dataTransfer.files[0]) read(e.dataTransfer.files[0]);
});

change();
