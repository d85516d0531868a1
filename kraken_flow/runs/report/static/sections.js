function section(id, title, said, ...children) {
  return h('section', { id, 'aria-labelledby': `${id}-title` },
    h('div', { class: 'head' }, h('h2', { id: `${id}-title`, tabindex: -1 }, title), said && h('p', {}, said)), children);
}

function heading() {
  const span = facts.span ? `${facts.span[0].slice(0, 10)} to ${facts.span[1].slice(0, 10)}` : '';
  const pairs = facts.pairs.length > 8 ? `${facts.pairs.slice(0, 8).join(', ')} and ${facts.pairs.length - 8} more` : facts.pairs.join(', ');
  document.getElementById('top').append(
    h('div', {}, h('p', { class: 'kind' }, `Kraken Flow · ${facts.mode}`), h('h1', {}, facts.strategy), h('p', { class: 'facts' }, [pairs, `${facts.timeframe} bars`, span].filter(Boolean).join(' · '))),
    themeButton());
}

/** The result in a sentence. */
function verdict(held) {
  const total = facts.metrics.total_return;
  if (!known(total) || !facts.span) return null;
  const days = (Date.parse(facts.span[1]) - Date.parse(facts.span[0])) / DAY;
  const time = days >= 730 ? `${fixed(days / 365.25, 1).replace('.0', '')} years` : days >= 60 ? `${Math.round(days / 30.4)} months` : `${fixed(days, days < 3 ? 1 : 0)} days`;
  const did = total > 0 ? `made ${percent(total)}` : total < 0 ? `lost ${percent(-total)}` : 'made nothing';
  const fell = known(facts.metrics.max_drawdown) && facts.metrics.max_drawdown < 0 ? `, at worst ${percent(-facts.metrics.max_drawdown)} below its highest equity` : '';
  const against = known(held) ? ` Holding ${facts.pairs.length > 1 ? 'the pairs' : facts.pairs[0]} ${held >= 0 ? 'made' : 'lost'} ${percent(Math.abs(held))}.` : '';
  return h('p', { class: 'verdict' }, `${facts.strategy} ${did} in ${time}${fell}.${against}`);
}

const LEVELS = { bad: 'Warning', care: 'Caution' };

function summarySection() {
  const loud = facts.warnings.filter((row) => row.level !== 'note');
  const quiet = facts.warnings.filter((row) => row.level === 'note');
  const place = h('div', {});
  const benchmark = facts.metrics.benchmark?.total_return;
  place.append(verdict(benchmark) ?? '');
  if (!known(benchmark) && facts.curves.columns.hold) {
    curves().then(({ hold }) => place.replaceChildren(verdict(hold.at(-1) / facts.start_equity - 1) ?? ''));
  }
  const made = section('summary', 'Summary', null, place,
    loud.length ? h('ul', { class: 'warnings', 'aria-label': 'Warnings' }, loud.map((row) => h('li', { class: row.level }, h('span', { class: 'level' }, LEVELS[row.level]), h('span', {}, row.text)))) : null,
    quiet.length ? h('div', { class: 'notes' }, h('details', {}, h('summary', {}, `${quiet.length} ${quiet.length > 1 ? 'notes' : 'note'} on data and terms`), h('ul', {}, quiet.map((row) => h('li', {}, row.text))))) : null,
    h('dl', { class: 'numbers panel' }, facts.headline.map(tile)));
  made.querySelector('.head').className = 'unseen';
  return made;
}

function tile(row) {
  const [number, unit] = row.value.match(/^(.*\d)\s(\D+)$/)?.slice(1) ?? [row.value, ''];
  const value = row.why ? h('dd', { class: 'value undefined' }, `undefined: ${row.why}`) : h('dd', { class: `value ${row.tone}` }, number, unit && h('small', {}, ` ${unit}`));
  return h('div', {}, h('dt', {}, row.title), value, row.interval && h('dd', { class: 'interval' }, `90 %: ${unbroken(row.interval)}`), h('dd', { class: 'meaning' }, row.meaning));
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function monthsSection() {
  if (!facts.months.length) return null;
  const of = new Map(facts.months.map(([year, month, value]) => [`${year}-${month}`, value]));
  const years = [...new Set(facts.months.map(([year]) => year))];
  const most = Math.max(...facts.months.map(([, , value]) => Math.abs(value)), 1e-9);
  const whole = (year) => facts.months.filter(([y]) => y === year).reduce((grown, [, , value]) => grown * (1 + value), 1) - 1;
  const cell = (value, more = '') => {
    const strength = known(value) ? Math.min(0.05 + (0.5 * Math.abs(value)) / most, 0.55) : 0;
    const ground = known(value) && value ? `background:${tint(value > 0 ? 'gain' : 'loss', strength.toFixed(3))}` : null;
    return h('td', { style: more ? null : ground, class: more || null }, known(value) ? fixed(value * 100, Math.abs(value) >= 1 ? 0 : 2) : '');
  };
  const place = h('div', {});
  const draw = () => place.replaceChildren(h('div', { class: 'panel months' }, scrolls('Returns by month',
    h('table', { class: 'wide' }, h('caption', {}, 'Return of each month in %, the first from the starting equity. A stronger colour is more; teal won, orange lost.'),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Year'), MONTHS.map((name) => h('th', { scope: 'col' }, name)), h('th', { scope: 'col' }, 'Year'))),
      h('tbody', {}, years.map((year) => h('tr', {}, h('th', { scope: 'row' }, String(year)), MONTHS.map((_, month) => cell(of.get(`${year}-${month + 1}`))), cell(whole(year), 'year')))))),
    h('div', { class: 'scroll tall' },
      h('table', {}, h('caption', {}, 'Return of each month in %, the first from the starting equity. A stronger colour is more; teal won, orange lost.'),
        h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Month'), years.map((year) => h('th', { scope: 'col' }, String(year))))),
        h('tbody', {}, MONTHS.map((name, month) => h('tr', {}, h('th', { scope: 'row' }, name), years.map((year) => cell(of.get(`${year}-${month + 1}`))))),
          h('tr', {}, h('th', { scope: 'row' }, 'Year'), years.map((year) => cell(whole(year), 'total'))))))));
  draw();
  themed.push(draw);
  const distribution = facts.curves.histogram.counts.length ? returnsFigure() : null;
  return section('returns', 'Returns', null, place, distribution && h('div', { style: 'margin-top:16px' }, distribution));
}

function costsSection() {
  const paid = facts.costs.filter((row) => row.number !== 0);
  const total = sum(facts.costs.map((row) => row.number));
  const start = facts.start_equity;
  const row = (title, value, number) => h('tr', {}, h('th', { scope: 'row' }, title), h('td', { class: 'n' }, value), h('td', { class: 'n' }, start ? fixed((number / start) * 100, 2) : NONE));
  return section('costs', 'Costs', [paid.length ? 'What trading cost, over the whole run.' : 'Trading cost nothing.', facts.capacity].filter(Boolean).join(' '),
    h('div', { class: 'panel few' }, scrolls('Costs', h('table', {},
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Cost'), h('th', { scope: 'col', class: 'n' }, facts.currency || 'Amount'), h('th', { scope: 'col', class: 'n' }, 'Of starting equity, %'))),
      h('tbody', {}, facts.costs.map((cost) => row(cost.title, fixed(cost.number, 2), cost.number)), h('tr', { class: 'total' }, h('th', { scope: 'row' }, 'Together'), h('td', { class: 'n' }, fixed(total, 2)), h('td', { class: 'n' }, start ? fixed((total / start) * 100, 2) : NONE)))))));
}

const cellOf = (value) => {
  if (value === null || value === undefined || value === '') return NONE;
  if (typeof value === 'number') return Number.isInteger(value) ? value.toLocaleString('en-US') : Number(value.toPrecision(5)).toLocaleString('en-US', { maximumFractionDigits: 8 }).replace('-', MINUS);
  const text = String(value);
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? text.slice(0, 16).replace('T', ' ') : text;
};

function drawdownsSection() {
  const worst = facts.metrics.drawdowns;
  if (!Array.isArray(worst) || !worst.length) return null;
  const columns = [
    { name: 'Depth, %', of: (row) => row.depth, number: true, tone: true, shown: (row) => fixed(row.depth * 100, 2) },
    { name: 'From, UTC', of: (row) => row.peak, shown: (row) => cellOf(row.peak) },
    { name: 'Deepest, UTC', of: (row) => row.trough, shown: (row) => cellOf(row.trough) },
    { name: 'Recovered, UTC', of: (row) => row.recovered, shown: (row) => (row.recovered ? cellOf(row.recovered) : 'not yet') },
    { name: 'Days below', of: (row) => row.days, number: true, shown: (row) => fixed(row.days, 1) },
    { name: `At the top, ${facts.currency}`, of: (row) => row.peak_equity, number: true, shown: (row) => fixed(row.peak_equity, 2) },
    { name: `Deepest, ${facts.currency}`, of: (row) => row.trough_equity, number: true, shown: (row) => fixed(row.trough_equity, 2) },
  ];
  return section('drawdowns', 'Drawdowns', 'The deepest falls below the highest equity so far, at bar closes.', sortable({ label: 'Deepest drawdowns', columns, rows: worst }).element);
}

function riskSection() {
  if (!facts.risk.length) return section('risk', 'Risk events', 'No limit of day or system was triggered.');
  return section('risk', 'Risk events', `Each line is a limit that was reached${facts.risk.length >= 500 ? '; the first 500' : ''}. Value is what was measured, limit what is allowed.${facts.risk.some((row) => row.after === 'killed' && !row.shadow) ? ' To see what would have come after the kill: risk=research only records it and trades on.' : ''}`, riskTable());
}

/** What a limit measures is a share of equity, a multiple of it, an age in seconds, or a plain number. */
const RISK_SHARES = ['max_loss', 'max_drawdown', 'price_band'];

function measuredCell(row, value) {
  if (!known(value)) return NONE;
  return RISK_SHARES.includes(row.trigger) ? percent(value) : cellOf(value);
}

const RISK = [
  ['Time, UTC', (row) => row.time], ['Limit', (row) => row.trigger], ['State', (row) => (row.alone ? `alone ${row.alone}` : `${row.before} → ${row.after}`)], ['Effect', (row) => (row.alone ? '' : row.shadow ? `${row.effect} (only recorded)` : row.effect)],
  ['Measured', (row) => row.value, (row) => measuredCell(row, row.value)], ['Allowed', (row) => row.limit, (row) => measuredCell(row, row.limit)],
  ['Equity', (row) => row.equity, (row) => fixed(row.equity, 2)], ['Against', (row) => row.reference, (row) => fixed(row.reference, 2)], ['Until, UTC', (row) => row.until],
  ['Pair', (row) => row.pair], ['Order', (row) => (row.order_id < 0 ? null : row.order_id)],
];

function riskTable() {
  const columns = RISK.filter(([, of]) => facts.risk.some((row) => ![null, undefined, ''].includes(of(row)))).map(([name, of, shown]) => ({
    name, of, number: facts.risk.some((row) => typeof of(row) === 'number'), shown: shown ?? ((row) => cellOf(of(row))),
  }));
  return sortable({ label: 'Risk events', columns, rows: facts.risk, page: facts.risk.length > PAGE ? PAGE : 0 }).element;
}

const meant = (row) => [row.meaning, row.why].filter(Boolean).join(': ');

function numbersSection() {
  return section('numbers', 'All numbers', 'As they stand in metrics.json, under the names they have there.',
    sortable({
      label: 'All numbers', first: true, rows: facts.numbers, columns: [
        { name: 'Name', of: (row) => row.key, shown: (row) => [h('span', { class: 'key' }, row.key), h('span', { class: 'below' }, meant(row))], head: true },
        { name: 'Value', of: (row) => row.value, number: true, shown: (row) => [h('span', { class: 'whole' }, row.value), row.interval && h('span', { class: 'below' }, unbroken(row.interval))], wraps: true },
        { name: '90 % interval', of: (row) => row.interval, shown: (row) => unbroken(row.interval ?? ''), wraps: true },
        { name: 'Meaning', of: (row) => row.meaning, shown: meant, wraps: true },
      ],
    }).element);
}

function originSection() {
  const { manifest } = facts;
  const told = [['Folder', facts.folder], ['Command', (manifest.command ?? []).join(' ')], ['Started', manifest.started], ['Engine', manifest.engine], ['Seed', manifest.seed], ['Git commit', manifest.git_commit],
    ['Order log', facts.metrics.order_log_sha256], ['Ledger', facts.metrics.ledger_sha256], ['Data', facts.metrics.data_sha256]].filter(([, value]) => value !== null && value !== undefined && value !== '');
  const block = (title, text) => h('details', { class: 'panel' }, h('summary', {}, title), h('pre', { tabindex: 0, 'aria-label': title }, text));
  return section('origin', 'How it was made', 'Equal hashes, equal runs. mode=verify makes the run again and compares them.',
    h('div', { class: 'panel', style: 'margin-bottom:10px' }, scrolls('How the run was made', h('table', {}, h('tbody', {}, told.map(([name, value]) =>
      h('tr', {}, h('th', { scope: 'row' }, name), h('td', { class: 'key wraps' }, String(value)))))))),
    block('Configuration (config.yaml)', facts.config),
    block('Data files', JSON.stringify(manifest.data ?? [], null, 2)),
    block('Manifest (manifest.json)', JSON.stringify(manifest, null, 2)));
}

/** The links to the sections, the one in sight marked. */
function navigation(sections) {
  const links = new Map(sections.map((element) => [element, h('a', { href: `#${element.id}` }, element.querySelector('h2').textContent)]));
  document.querySelector('#sections').append(h('ul', {}, [...links.values()].map((link) => h('li', {}, link))));
  let current = null;
  const mark = () => {
    const passed = sections.filter((element) => element.getBoundingClientRect().top < 140);
    const now = passed.at(-1) ?? sections[0];
    if (now === current) return;
    current = now;
    for (const [element, link] of links) {
      if (element === current) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
    const list = links.get(current).closest('ul');
    list.scrollLeft = links.get(current).offsetLeft - list.clientWidth / 3;
  };
  window.addEventListener('scroll', mark, { passive: true });
  mark();
}

function footing() {
  const version = facts.manifest?.versions?.['kraken-flow'];
  document.getElementById('foot').append(
    h('p', {}, `Made by Kraken Flow${version ? ` ${version}` : ''}. All times are UTC. Simulated results are no promise of real ones.`),
    h('p', {}, 'This page asks nobody for anything. Charts by plotly.js, © Plotly, Inc., MIT licence.'));
}
