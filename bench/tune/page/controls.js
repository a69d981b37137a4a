// The sliders: each has a list of values, and "off" before them where there is one.

const $ = s => document.querySelector(s), $$ = s => [...document.querySelectorAll(s)];

function setUp(input) {
  const d = input.dataset;
  input.values = [...(d.off ? [0] : []), ...d.values.split(',').map(Number)];
  input.max = input.values.length - 1;
  input.standard = Number(d.default);
}

const valueOf = input => input.values[input.value];

// setValue moves a slider to the value that is nearest to v.
function setValue(input, v) {
  let best = 0;
  input.values.forEach((w, i) => { if (Math.abs(w - v) < Math.abs(input.values[best] - v)) best = i; });
  input.value = best;
  show(input);
}

function textOf(input, v = valueOf(input)) {
  if (v === 0) return input.dataset.off === 'none' ? 'none' : 'off';
  switch (input.dataset.kind) {
    case 'share': return `${Number((v * 100).toPrecision(4))} %`;
    case 'duration': return seconds(v);
  }
  return v.toLocaleString('en');
}

function seconds(v) {
  if (v < 1) return `${Number((v * 1000).toPrecision(3))} ms`;
  if (v < 120 && v % 60 !== 0) return `${Number(v.toPrecision(3))} s`;
  const min = Math.floor(v / 60), rest = Math.round(v % 60);
  return rest ? `${min} min ${rest} s` : `${min} min`;
}

// show writes the value, and what it means, where people and their screen readers look.
function show(input) {
  const box = input.closest('.setting'), off = valueOf(input) === 0 && input.dataset.off !== 'none', words = box.querySelector('span');
  words.dataset.on ??= words.textContent;
  box.querySelector('output').textContent = off ? 'off:' : textOf(input);
  words.textContent = off ? input.dataset.off : words.dataset.on;
  box.classList.toggle('changed', valueOf(input) !== input.standard);
  input.setAttribute('aria-valuetext', off ? `off: ${input.dataset.off}` : `${textOf(input)} ${words.dataset.on}`);
}

const sliders = () => $$('#controls input[type=range]');
const fault = () => $('[name=fault]:checked').value;

// config is the breaker.Config that the sliders stand for, without what is the default.
function config() {
  const c = {};
  for (const input of $$('#breaker input[type=range]')) {
    const v = valueOf(input);
    if (v === input.standard) continue;
    c[input.name] = input.dataset.kind === 'duration' ? (v === 0 ? '-1ns' : `${v}s`) : (v === 0 ? -1 : v);
  }
  // Who sets a rate that opens fully sheds nothing by default; here the sliders say.
  if (c.failure_rate > 0 && !('shed_rate' in c)) c.shed_rate = valueOf($('#shed_rate'));
  // What cannot be: a longest time that is shorter than the first.
  const first = valueOf($('#open_for')), longest = valueOf($('#max_open_for'));
  if (longest < first) c.max_open_for = `${first}s`;
  return c;
}

function trafficOf() {
  const of = name => valueOf($('#' + name));
  return {
    rps: of('rps'), latency: of('latency'), p99: of('latency') * of('p99'), errors: of('errors'), timeout: of('timeout'),
    fault: fault(), share: of('share'), slow: of('slow'), for: of('for'),
  };
}

// The link holds what differs from the default.
function link(logName) {
  const q = new URLSearchParams();
  for (const input of sliders()) if (valueOf(input) !== input.standard) q.set(input.name, valueOf(input));
  if (fault() !== 'down') q.set('fault', fault());
  if ($('#beside').value !== besideFirst) q.set('beside', $('#beside').value);
  if (logName) q.set('log', logName);
  return q.toString();
}

const besideFirst = 'sony/gobreaker, defaults';

// follow sets everything as a link says; what makes no sense in it is left at its default.
function follow(text) {
  const q = new URLSearchParams(text);
  for (const input of sliders()) {
    const v = Number(q.get(input.name) ?? input.standard);
    setValue(input, Number.isFinite(v) ? v : input.standard);
  }
  const radio = $$('[name=fault]').find(r => r.value === q.get('fault')) ?? $('[name=fault][value=down]');
  radio.checked = true;
  const beside = q.get('beside') ?? besideFirst;
  $('#beside').value = [...$('#beside').options].some(o => o.value === beside) ? beside : besideFirst;
  fit();
  return q.get('log');
}

// fit shows the sliders that the fault needs.
function fit() {
  for (const box of $$('[data-fault]')) box.hidden = box.dataset.fault !== fault();
  $('#beside-about').textContent = $('#beside').selectedOptions[0]?.title ?? '';
}
