const STROKES = ['line1', 'line2', 'line3', 'line4', 'gain', 'loss', 'hold', 'soft'];
const DASHES = ['solid', 'solid', 'solid', 'solid', 'dash', 'dash', 'dash', 'dash'];

/** The page that lays several runs side by side. */
function comparison() {
  const { runs } = facts;
  document.getElementById('top').append(
    h('div', {}, h('p', { class: 'kind' }, 'Kraken Flow · comparison'), h('h1', {}, runs.length > 3 ? facts.said : runs.map((run) => run.name).join(' · ')), runs.length > 3 ? null : h('p', { class: 'facts' }, facts.said)), themeButton());
  return [comparedNumbers(runs), comparedCurves(runs), comparedKeys(runs), comparedRuns(runs)];
}

/** A run's name over its column: its signs, and below what tells it from others of its strategy. */
const columnHead = (run, number) => h('th', { scope: 'col', class: number ? 'n' : null }, run.marks ? `${run.name}\u00a0${run.marks}` : run.name, run.differs && h('div', { class: 'key' }, run.differs));

function comparedNumbers(runs) {
  const rows = facts.rows.map((row) => h('tr', {}, h('th', { scope: 'row' }, row.title, h('div', { class: 'key' }, row.key)), row.values.map((value, i) =>
      h('td', { class: row.key === 'killed_at' ? 'n said' : 'n' }, i === row.best ? h('strong', {}, value, h('span', { class: 'unseen' }, ' (best)')) : value, row.intervals[i] && h('div', { class: 'key' }, unbroken(row.intervals[i]))))));
  return section('summary', 'Side by side', 'The best of a line is bold where two runs or more can be held against each other; below is the 90 % interval of what has one.',
    facts.warnings.length ? h('ul', { class: 'warnings', 'aria-label': 'Warnings' }, facts.warnings.map((row) => h('li', { class: row.level }, h('span', { class: 'level' }, LEVELS[row.level]), h('span', {}, row.text)))) : null,
    h('div', { class: 'panel' }, scrolls('Numbers side by side', h('table', { class: 'compared' }, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Number'), runs.map((run) => columnHead(run, true)))), h('tbody', {}, rows)))),
    facts.marks.length ? h('ul', { class: 'marks' }, facts.marks.map((row) => h('li', {}, h('strong', {}, row.mark), ` ${row.text}`))) : null);
}

const legendOf = (run) => (run.differs && run.differs.length < 40 && !narrow() ? `${run.name}: ${run.differs}` : run.name);

function comparedCurves(runs) {
  const of = runs.map((_, number) => () => columnsOf(`run${number}`, runs[number].columns));
  const kept = of.map(() => null);
  const readAll = () => Promise.all(of.map((readOne, number) => (kept[number] ??= readOne())));
  const chart = (id, title, said, column, height, more) => figure({
    id, title, said, height, summary: `One line per run: ${runs.map((run) => run.name).join(', ')}.`,
    async drawn() {
      const found = await readAll();
      return {
        traces: found.map((columns, number) => line(plain(legendOf(runs[number])), Array.from(columns.seconds, (s) => runs[number].first_ms + s * 1000), columns[column], colour(STROKES[number % STROKES.length]), {
          line: { width: 1.6, dash: DASHES[number % DASHES.length] }, rest: { hovertemplate: '%{y:.2%}' },
        })),
        layout: { xaxis: { type: 'date', hoverformat: '%Y-%m-%d' }, yaxis: { tickformat: '.1~%', ...more }, showlegend: true },
      };
    },
  });
  return section('curves', 'Equity and drawdown', null,
    chart('equity', 'Growth since the start', 'equity over starting equity, minus 1', 'growth', narrow() ? 360 : 440, {}),
    chart('drawdown', 'Drawdown', 'below the highest equity so far', 'drawdown', narrow() ? 240 : 260, { rangemode: 'tozero' }));
}

function comparedKeys(runs) {
  if (!facts.keys.length) return section('keys', 'Configuration', 'The runs have the same configuration.');
  return section('keys', 'Configuration', 'The keys in which they differ; a key that is not there has its default.',
    h('div', { class: 'panel' }, scrolls('Keys that differ', h('table', { class: 'compared' }, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Key'), runs.map((run) => columnHead(run, false)))),
      h('tbody', {}, facts.keys.map((row) => h('tr', {}, h('th', { scope: 'row', class: 'key' }, row.key), row.values.map((value) => h('td', { class: 'wraps' }, value)))))))));
}

function comparedRuns(runs) {
  return section('runs', 'The runs', null, h('div', { class: 'panel' }, scrolls('The runs', h('table', {},
    h('thead', {}, h('tr', {}, ['Run', 'Mode', 'Pairs', 'Bars', 'Span', 'Order log', 'Data', 'Folder'].map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, runs.map((run) => h('tr', {}, h('th', { scope: 'row' }, run.name, run.differs && h('div', { class: 'key' }, run.differs)), h('td', {}, run.mode), h('td', { class: 'wraps pairs' }, run.pairs.join(', ')), h('td', {}, run.timeframe ?? NONE),
      h('td', {}, run.span ? `${run.span[0].slice(0, 10)} to ${run.span[1].slice(0, 10)}` : NONE), h('td', { class: 'key' }, run.orders), h('td', { class: 'key' }, run.data), h('td', { class: 'key wraps folder' }, run.folder))))))));
}
