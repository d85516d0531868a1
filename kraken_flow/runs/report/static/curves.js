const DAY = 86400000;
let read = null;

/** The curves of the run: times in ms and values, thinned. */
function curves() {
  read ??= columnsOf('curves', facts.curves.columns).then((columns) => ({
    ...columns,
    time: Array.from(columns.row, (row) => facts.curves.first_ms + row * facts.step_ms),
    days: Array.from(columns.day, (seconds) => facts.curves.first_day_ms + seconds * 1000),
  }));
  return read;
}

const line = (name, x, y, stroke, more = {}) => ({
  type: 'scatter', mode: 'lines', name, x, y: Array.from(y), line: { color: stroke, width: 1.6, ...more.line }, ...more.rest,
});

const HELD = () => `Hold ${facts.pairs.length > 1 ? 'all pairs' : facts.pairs[0]}`;

/** Whether the curves are so far apart that equal steps have to be equal shares. */
function wide({ equity, hold }) {
  let [low, high] = [Infinity, -Infinity];
  for (const values of [equity, hold ?? []]) {
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low > 0 && high / low > 8;
}

/** Let the labels of a log axis lie apart at any range: few make 1 2 5 or even steps, more make powers of ten over many decades. */
async function spaced(plot) {
  const { type, range, nticks = 0 } = plot._fullLayout.yaxis;
  const few = range[1] - range[0] > 2 ? 6 : 3;
  const wanted = type === 'log' ? few : 0;
  if (nticks !== wanted) (await charts()).relayout(plot, { 'yaxis.nticks': wanted });
}

/** A mark where a limit ended trading. */
function ending() {
  const killed = Date.parse(facts.metrics.killed_at);
  if (!known(killed)) return {};
  return {
    shapes: [{ type: 'line', x0: killed, x1: killed, y0: 0, y1: 1, yref: 'paper', line: { color: colour('loss'), width: 1, dash: 'dash' } }],
    annotations: [{ x: killed, y: 1, yref: 'paper', text: 'trading ended', showarrow: false, xanchor: 'left', yanchor: 'top', xshift: 4, font: { size: 12, color: colour('loss') } }],
  };
}

function equitySection() {
  const thin = facts.curves.points < facts.curves.of;
  const note = thin ? `${facts.curves.points.toLocaleString('en-US')} of ${facts.curves.of.toLocaleString('en-US')} points are drawn; every stretch keeps its highest and lowest.` : null;
  let logarithmic = null;
  let held = true;
  let plotted = null;
  const range = (days) => async () => {
    const Plotly = await charts();
    const { time } = await curves();
    const last = time.at(-1);
    const from = days ? Math.max(last - days * DAY, time[0]) : time[0];
    Plotly.relayout(plotted, { 'xaxis.range': [from, last], 'yaxis.autorange': true, 'yaxis2.autorange': true });
    announce(days ? `The last ${days} days` : 'The whole run');
  };
  const buttons = [['1M', 30], ['3M', 91], ['6M', 182], ['1Y', 365], ['All', 0]].map(([name, days]) =>
    h('button', { type: 'button', onclick: range(days), 'aria-label': days ? `Show the last ${days} days` : 'Show the whole run' }, name));
  const scale = h('button', { type: 'button', 'aria-pressed': 'false', onclick: async () => {
    logarithmic = !logarithmic;
    scale.setAttribute('aria-pressed', String(logarithmic));
    (await charts()).relayout(plotted, { 'yaxis.type': logarithmic ? 'log' : 'linear', 'yaxis.autorange': true });
  } }, 'Log');
  const hold = facts.curves.columns.hold ? h('button', { type: 'button', 'aria-pressed': 'true', onclick: () => {
    held = !held;
    hold.setAttribute('aria-pressed', String(held));
    again();
  } }, 'Hold') : null;
  const again = async () => {
    const [Plotly, made] = await Promise.all([charts(), drawn()]);
    made.layout.xaxis.range = plotted.layout.xaxis.range;
    Plotly.react(plotted, made.traces, layout(made.layout), SETTINGS);
  };
  const last = facts.headline.find((row) => row.key === 'total_return');
  const chart = figure({
    id: 'equity', title: `Equity, ${facts.currency}`, said: note, height: narrow() ? 400 : 480,
    summary: `It ends ${last ? last.value : ''} from where it began. Below it the drawdown from the highest equity so far.`,
    drawn,
    after(plot) {
      plotted = plot;
      plot.on('plotly_afterplot', () => spaced(plot));
      spaced(plot);
    },
  });
  async function drawn() {
    const found = await curves();
    logarithmic ??= wide(found);
    scale.setAttribute('aria-pressed', String(logarithmic));
    const traces = [];
    if (found.low && found.high) {
      traces.push(line('90 % interval', found.days, found.low, 'rgba(0,0,0,0)', { rest: { showlegend: false, hoverinfo: 'skip' } }));
      traces.push(line('90 % interval', found.days, found.high, 'rgba(0,0,0,0)', { rest: { fill: 'tonexty', fillcolor: shade('gain', 0.14), hovertemplate: '%{y:,.2f}' } }));
    }
    if (found.hold && held) traces.push(line(HELD(), found.time, found.hold, colour('hold'), { line: { width: 1.3, dash: 'dot' }, rest: { hovertemplate: '%{y:,.2f}' } }));
    traces.push(line('Equity', found.time, found.equity, colour('line1'), { rest: { hovertemplate: '%{y:,.2f}' } }));
    traces.push(line('Drawdown', found.time, found.drawdown, colour('loss'), { line: { width: 1 }, rest: { yaxis: 'y2', fill: 'tozeroy', fillcolor: shade('loss', 0.22), hovertemplate: '%{y:.2%}' } }));
    return { traces, layout: {
      xaxis: { type: 'date', anchor: 'y2', hoverformat: '%Y-%m-%d %H:%M' },
      yaxis: { domain: [0.32, 1], type: logarithmic ? 'log' : 'linear', tickformat: ',' },
      yaxis2: { domain: [0, 0.26], tickformat: '.1~%', rangemode: 'tozero' },
      ...ending(),
    } };
  }
  const told = [
    facts.curves.columns.hold ? `Against holding ${facts.pairs.length > 1 ? 'all pairs, bought evenly' : facts.pairs[0]} at the first close, at no cost.` : '',
    facts.curves.columns.low ? 'The band is the 90 % interval of the total return, spread over time as a random walk would.' : '',
  ];
  return section('equity-section', 'Equity', told.filter(Boolean).join(' ') || null,
    h('div', { class: 'tools' }, h('div', { class: 'group', role: 'group', 'aria-label': 'Range of the equity chart' }, buttons), scale, hold), chart);
}

function returnsFigure() {
  const { edges, counts } = facts.curves.histogram;
  const total = sum(counts);
  const tails = Object.entries(facts.metrics.value_at_risk ?? {}).filter(([name, value]) => name === 'historical_95' && known(value));
  // A few returns side by side are narrow bars: the axis begins and ends with what there is, and has 0 on it.
  const marks = [0, ...edges, ...tails.map(([, value]) => -value)];
  const [least, most] = [Math.min(...marks), Math.max(...marks)];
  const thin = (most - least) / 40;
  const reach = [least - thin, most + thin];
  return figure({
    id: 'distribution', title: 'Daily returns', said: [`${total} ${total === 1 ? 'day' : 'days'}`, facts.curves.histogram.still ? `${facts.curves.histogram.still} of exactly 0 left out` : '', tails.length ? `dotted: value at risk, 95 %${facts.metrics.value_at_risk_until ? ', of the days until the kill' : ''}` : ''].filter(Boolean).join(', '), height: 300,
    summary: total ? `${total} returns between ${percent(edges[0])} and ${percent(edges.at(-1))}.` : 'There are none.',
    drawn: () => ({
      traces: [{
        type: 'bar', x: counts.map((_, i) => (edges[i] + edges[i + 1]) / 2), y: counts, width: counts.map((_, i) => (counts.length < 5 ? Math.max(thin / 2, edges[i + 1] - edges[i]) : edges[i + 1] - edges[i])),
        marker: { color: counts.map((_, i) => colour(edges[i] >= -1e-12 ? 'gain' : 'loss')), line: { color: colour('panel'), width: 1 } },
        customdata: counts.map((_, i) => `${percent(edges[i])} to ${percent(edges[i + 1])}`), hovertemplate: '%{customdata}: %{y} days<extra></extra>',
      }],
      layout: {
        hovermode: 'closest', dragmode: false, bargap: 0, xaxis: { tickformat: '.3~%', range: reach }, yaxis: { title: 'days', ...(Math.max(...counts) <= 5 ? { dtick: 1 } : {}) },
        shapes: tails.map(([, value]) => ({ type: 'line', x0: -value, x1: -value, y0: 0, y1: 1, yref: 'paper', line: { color: colour('ink'), width: 1.5, dash: 'dot' } })),
      },
    }),
  });
}

function rollingFigure(id, title, said, name, format, stroke, summary) {
  return figure({
    id, title, said, summary, height: 240,
    async drawn() {
      const found = await curves();
      return {
        traces: [line(title, found.days, found[name], colour(stroke), { line: { width: 1.4 }, rest: { hovertemplate: `%{y:${format}}<extra></extra>`, connectgaps: false } })],
        layout: { showlegend: false, xaxis: { type: 'date', hoverformat: '%Y-%m-%d' }, yaxis: { tickformat: format, rangemode: name === 'sharpe' ? 'normal' : 'tozero' } },
      };
    },
  });
}

function rollingSection() {
  const days = facts.curves.rolling_days;
  const missing = facts.curves.no_rolling_sharpe;
  return section('rolling', 'Over time', `Each point looks back ${days} days.`,
    missing ? h('div', { class: 'panel lacks', id: 'rolling-sharpe' }, h('h3', {}, 'Rolling Sharpe'), h('p', {}, missing)) : rollingFigure('rolling-sharpe', 'Rolling Sharpe', `${days} days, yearly`, 'sharpe', '.2~f', 'line1', `The Sharpe ratio of the last ${days} days.`),
    h('div', { class: 'two', style: 'margin-top:16px' },
      rollingFigure('rolling-exposure', 'Exposure', 'value of positions over equity, mean of each day', 'invested', '.1~%', 'line3', 'How much of the equity was invested.'),
      rollingFigure('rolling-turnover', 'Turnover', `traded value over equity, last ${days} days, a year`, 'turnover', ',.3~r', 'line2', 'How often the equity was traded.')));
}
