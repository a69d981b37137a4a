// What became of the calls: a chart for each guard, and a table.

const svgNS = 'http://www.w3.org/2000/svg';

function element(name, text, attributes = {}) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
}

function svgElement(name, attributes) {
  const e = document.createElementNS(svgNS, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
}

// topOf is the upper end of the axis. Where failures are few it is so low that they
// can be seen, and answers are cut off.
function topOf(guards) {
  let top = 0, trouble = 0;
  for (const { bins } of guards) {
    for (let i = 0; i < bins.good.length; i++) {
      top = Math.max(top, bins.good[i] + bins.failed[i] + bins.rejected[i]);
      trouble = Math.max(trouble, bins.failed[i] + bins.rejected[i]);
    }
  }
  const cut = trouble > 0 && 4 * trouble < top;
  return { top: Math.max(1, cut ? 4 * trouble : top), cut };
}

const height = 100;

function chart(guard, first, top, faulty) {
  const { bins, total } = guard, n = bins.good.length;
  const figure = element('figure', undefined, { class: 'chart' });
  const said = `${part(total.spared, total.failed)} of the failures spared, ${part(total.lost, total.good)} of the good answers lost`;
  const caption = element('figcaption');
  caption.append(element('b', guard.name), element('span', first ? `up to ${rate(top / bins.seconds)} /s` : `${part(total.spared, total.failed)} spared, ${part(total.lost, total.good)} lost`));
  const svg = svgElement('svg', { viewBox: `0 0 ${n} ${height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `${guard.name}: ${said}` });
  if (faulty) svg.append(svgElement('rect', { class: 'fault', x: faulty.from, width: faulty.to - faulty.from, y: 0, height }));
  const below = new Array(n).fill(0);
  for (const layer of ['failed', 'rejected', 'good']) {
    let d = '';
    for (let i = 0; i < n; i++) {
      const h = Math.min(bins[layer][i] / top * height, height - below[i]);
      if (h <= 0) continue;
      d += `M${i} ${(height - below[i]).toFixed(1)}h1v${(-h).toFixed(1)}h-1z`;
      below[i] += h;
    }
    svg.append(svgElement('path', { class: layer, d }));
  }
  figure.append(caption, svg);
  return figure;
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 604800];

// times are the labels below the charts: of the clock for a log, else since the beginning.
function times(bins, ofLog) {
  const box = element('div', undefined, { class: 'times', 'aria-hidden': 'true' });
  const long = bins.good.length * bins.seconds, begin = ofLog ? new Date(bins.begin).getTime() / 1000 : 0;
  const step = steps.find(s => long / s <= (innerWidth < 600 ? 4 : 8)) ?? Math.ceil(long / 4);
  for (let at = Math.ceil(begin / step) * step; at <= begin + long; at += step) {
    const clock = new Date(at * 1000).toISOString(), share = (at - begin) / long;
    const label = element('span', !ofLog ? (at ? seconds(at) : '0')
      : step >= 86400 ? clock.slice(5, 10) : long > 86400 ? `${clock.slice(5, 10)} ${clock.slice(11, 16)}` : step >= 60 ? clock.slice(11, 16) : clock.slice(11, 19));
    label.style.left = `${100 * share}%`;
    if (share < 0.03) label.style.transform = 'none';
    if (share > 0.97) label.style.transform = 'translateX(-100%)';
    box.append(label);
  }
  return box;
}

const whole = n => Math.round(n).toLocaleString('en');
const rate = n => n >= 10 ? whole(n) : Number(n.toPrecision(2)).toString();

function part(n, of) {
  if (!of) return '–';
  const share = 100 * n / of;
  return `${share > 0 && share < 0.1 ? share.toFixed(3) : share.toFixed(1)} %`;
}

function span(s) {
  if (s === 0) return '0 s';
  if (s < 10) return `${s.toFixed(1)} s`;
  return seconds(Math.round(s));
}

// first and last second with rejections, as seen from the fault.
function reaction(guard, faulty) {
  const { rejected, good } = guard.bins;
  let first = -1, last = -1;
  for (let i = faulty.from; i < good.length; i++) {
    if (!rejected[i]) continue;
    if (first < 0) first = i;
    last = i;
  }
  return {
    detect: first < 0 || first >= faulty.to ? 'never' : `within ${first - faulty.from + 1} s`,
    back: last < faulty.to ? 'at once' : last >= good.length - 2 ? 'never' : `within ${last - faulty.to + 1} s`,
  };
}

// rows of the table: title, text, and a number of which less (-1) or more (1) is better.
function rows(faulty) {
  const times = f => g => g.tells_times ? span(f(g)) : '–';
  return [
    ['failures spared', g => part(g.total.spared, g.total.failed), g => g.total.spared, 1],
    ['good answers lost', g => part(g.total.lost, g.total.good), g => g.total.lost, -1],
    ['failures sent', g => whole(g.total.failed - g.total.spared), g => g.total.failed - g.total.spared, -1],
    ['call-seconds in failures', g => whole(g.total.failed_seconds), g => Math.round(g.total.failed_seconds), -1],
    ['most in flight', g => whole(g.total.most_in_flight), g => g.total.most_in_flight, -1],
    ...(faulty ? [
      ['first rejection', g => reaction(g, faulty).detect],
      ['last rejection after the fault', g => reaction(g, faulty).back],
    ] : []),
    ['openings', g => g.tells_openings ? whole(g.total.openings) : '–'],
    ['time open', times(g => g.total.open_seconds)],
    ['time half-open', times(g => g.total.part_seconds)],
  ];
}

function figures(guards, faulty) {
  const head = element('thead'), body = element('tbody'), top = element('tr');
  top.append(element('td'), ...guards.map(g => element('th', g.name, { scope: 'col' })));
  head.append(top);
  for (const [title, text, number, better] of rows(faulty)) {
    const row = element('tr');
    row.append(element('th', title, { scope: 'row' }));
    // The best of the breakers; without one, nothing is lost and nothing spared.
    const all = number ? guards.slice(1).map(g => better * number(g)) : [];
    guards.forEach((g, i) => {
      const cell = element('td', text(g));
      if (number && i > 0 && all.length > 1 && better * number(g) === Math.max(...all) && Math.min(...all) !== Math.max(...all)) cell.className = 'best';
      row.append(cell);
    });
    body.append(row);
  }
  return [head, body];
}

// hosts are those of a log that suffer most under the settings of the sliders.
function hosts(worst) {
  const head = element('thead'), body = element('tbody'), top = element('tr');
  top.append(...['worst hosts', 'calls', 'failed', 'spared', 'good lost', 'openings'].map(t => element('th', t, { scope: 'col' })));
  head.append(top);
  for (const h of worst) {
    const row = element('tr');
    row.append(element('th', h.host || '(all)', { scope: 'row' }),
      ...[whole(h.calls), whole(h.failed), part(h.spared, h.failed), part(h.lost, h.good), whole(h.openings)].map(t => element('td', t)));
    body.append(row);
  }
  return [head, body];
}

// draw shows what the server has answered.
function draw(played, faulty, ofLog) {
  const { guards } = played;
  if (!ofLog) for (const { bins } of guards) for (const of of ['good', 'failed', 'rejected']) bins[of].length = Math.min(bins[of].length, Number(document.body.dataset.shown));
  const { top, cut } = topOf(guards);
  $('#charts').replaceChildren(...guards.map((g, i) => chart(g, i === 0, top, faulty)), times(guards[0].bins, ofLog));
  $('#figures').replaceChildren($('#figures caption'), ...figures(guards, faulty));
  $('#legend-good').textContent = cut ? 'answered, cut off at the top' : 'answered';
  $('#hosts').hidden = !ofLog;
  $('#hosts').replaceChildren(...(ofLog ? hosts(guards[1].worst) : []));
  $('#words').textContent = guards[1].about;
  $('#json').textContent = played.json;
  $('#go').textContent = played.go;
}
