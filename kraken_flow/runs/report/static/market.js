/** The candle chart: what it shows, and how it is moved. Times are ms UTC; a candle stands at its open. */
const view = { pair: 0, from: 0, to: 0, trade: null, hidden: new Set() };
const candleData = new Map();
let allTrades = [];
let allFills = null;
let board = null;

function announce(text) {
  document.getElementById('said').textContent = text;
}

function pairColumns(number) {
  if (!candleData.has(number)) {
    candleData.set(number, columnsOf(`candles${number}`, facts.candles.pairs[number].columns).then((columns) =>
      facts.candles.pairs[number].levels.map((level, index) => {
        const own = {};
        for (const [name, values] of Object.entries(columns)) {
          if (name.startsWith(`${index}.`)) own[name.slice(String(index).length + 1)] = values;
        }
        for (let i = 0; i < own.row.length; i += 1) {
          const close = own.close[i];
          own.high[i] += close;
          own.low[i] += close;
        }
        // An open is a distance from the close before.
        for (let i = own.row.length - 1; i >= 0; i -= 1) own.open[i] += own.close[Math.max(i - 1, 0)];
        return { ...level, ...own };
      })));
  }
  return candleData.get(number);
}

const ofRow = (row) => facts.candles.first_ms + row * facts.step_ms;

/** Candles between two rows: fine ones where there are any and they fit, coarse ones elsewhere, joined to `most`. */
function candlesBetween(levels, from, to, most) {
  const [fine, rough] = levels;
  const take = (level, begin, end, into, skip) => {
    for (let i = firstAt(level.row, begin); i < level.row.length && level.row[i] < end; i += 1) {
      if (!skip || !skip(level.row[i], level.row[i] + level.factor)) into.push([level, i]);
    }
  };
  const found = [];
  let factor = 1;
  if (!rough) {
    take(fine, from, to, found);
  } else if ((to - from) / rough.factor > most * 0.75) {
    take(rough, from, to, found);
    factor = rough.factor;
  } else {
    const inside = (begin, end) => fine.spans.some(([low, high]) => begin < high && end > low);
    take(fine, from, to, found);
    const detailed = found.length;
    take(rough, from, to, found, inside);
    factor = detailed ? 1 : rough.factor;
    found.sort((a, b) => a[0].row[a[1]] - b[0].row[b[1]]);
    if (detailed && nice(Math.ceil(found.length / most)) >= rough.factor) {
      found.length = 0;
      take(rough, from, to, found);
      factor = rough.factor;
    }
  }
  const joined = Math.max(1, nice(Math.ceil(found.length / most)));
  return { ...put(found, factor * joined, joined > 1), factor: factor * joined };
}

function nice(count) {
  return [1, 2, 3, 4, 6, 12, 24, 48, 96, 168, 336, 720].find((n) => n >= count) ?? count;
}

/** Lay candles out as columns, joining those that fall into the same stretch of `factor` rows. */
function put(found, factor, join) {
  const lines = facts.candles.lines.map(() => []);
  const out = { x: [], open: [], high: [], low: [], close: [], volume: [], lines };
  let stretch = null;
  for (const [level, i] of found) {
    const own = join ? Math.floor(level.row[i] / factor) : i;
    const at = out.x.length - 1;
    if (join && own === stretch) {
      out.high[at] = Math.max(out.high[at], level.high[i]);
      out.low[at] = Math.min(out.low[at], level.low[i]);
      out.close[at] = level.close[i];
      out.volume[at] += level.volume[i];
      lines.forEach((values, number) => { values[at] = level[`line${number}`][i]; });
      continue;
    }
    stretch = own;
    out.x.push(ofRow(join ? own * factor : level.row[i]));
    for (const name of ['open', 'high', 'low', 'close', 'volume']) out[name].push(level[name][i]);
    lines.forEach((values, number) => values.push(level[`line${number}`][i]));
  }
  return out;
}

const LINES = ['line1', 'line2', 'line3', 'line4'];
/** Lines that are drawn before anybody chose. */
const SHOWN_LINES = 4;
const MOST_MARKS = 600;
const MOST_LEVELS = 60;

/** Pieces of line from entry to exit, one trace: pieces are parted by a null. */
function pieces(name, trades, begin, end, stroke, dash, width) {
  const [x, y] = [[], []];
  for (const trade of trades) {
    x.push(trade.entry_time, trade.exit_time, null);
    y.push(begin(trade), end(trade), null);
  }
  return { type: 'scatter', mode: 'lines', name, x, y, line: { color: stroke, width, dash }, hoverinfo: 'skip' };
}

const marks = (name, trades, count, time, at, symbol, fill, border) => ({
  type: 'scatter', mode: 'markers', name, x: trades.map((t) => t[time]), y: trades.map((t) => t[at]),
  marker: { symbol, size: markSize(count), color: fill, line: { color: border, width: count <= 150 ? 1.5 : 1 } },
  customdata: trades.map((t) => `${plain(t.side)} ${price(t[at])}${time === 'exit_time' ? `, ${plain(t.exit_reason)}, ${signed(t.gain)}` : ''}`),
  hovertemplate: `${name} %{customdata}<extra></extra>`,
});

/** Marks shrink where there are many. */
const markSize = (count) => (count <= 40 ? 11 : count <= 150 ? 7 : 4);

function overlays() {
  const pair = facts.candles.pairs[view.pair].pair;
  const inView = allTrades.filter((t) => t.pair === pair && t.exit_time >= view.from && t.entry_time <= view.to);
  if (inView.length > MOST_MARKS) return { inView, traces: [], shapes: [], many: true };
  const [won, lost] = [inView.filter((t) => t.pnl > 0), inView.filter((t) => t.pnl <= 0)];
  const [longs, shorts] = [inView.filter((t) => t.side === 'long'), inView.filter((t) => t.side !== 'long')];
  const traces = inView.length > 150 ? [] : [
    pieces('Won', won, (t) => t.entry_price, (t) => t.exit_price, colour('gain'), 'solid', 2),
    pieces('Lost', lost, (t) => t.entry_price, (t) => t.exit_price, colour('loss'), 'solid', 2),
  ];
  if (inView.length <= MOST_LEVELS && !view.hidden.has('levels')) {
    traces.push(pieces('Stop', inView.filter((t) => known(t.stop)), (t) => t.stop, (t) => t.stop, colour('loss'), 'dot', 1.6));
    traces.push(pieces('Target', inView.filter((t) => known(t.target)), (t) => t.target, (t) => t.target, colour('gain'), 'dot', 1.6));
  }
  traces.push(marks('Entry, long', longs, inView.length, 'entry_time', 'entry_price', 'triangle-up', colour('accent'), colour('panel')));
  traces.push(marks('Entry, short', shorts, inView.length, 'entry_time', 'entry_price', 'triangle-down', colour('accent'), colour('panel')));
  traces.push(marks('Exit', inView, inView.length, 'exit_time', 'exit_price', 'square', colour('panel'), colour('ink')));
  const others = (allFills ?? []).filter((f) => f.pair === pair && f.time >= view.from && f.time <= view.to && !['entry_signal', 'exit_signal'].includes(f.reason));
  if (!view.hidden.has('fills') && others.length && others.length <= MOST_MARKS) {
    traces.push({
      type: 'scatter', mode: 'markers', name: 'Other fills', x: others.map((f) => f.time), y: others.map((f) => f.price),
      marker: { size: 5, color: colour('soft') }, customdata: others.map((f) => `${plain(f.side)} ${price(f.qty)} at ${price(f.price)}, ${plain(f.reason)}`),
      hovertemplate: '%{customdata}<extra></extra>',
    });
  }
  const shapes = [];
  if (view.trade && view.trade.pair === pair) {
    const t = view.trade;
    shapes.push({
      type: 'rect', xref: 'x', yref: 'paper', x0: t.entry_time, x1: Math.max(t.exit_time, t.entry_time + facts.step_ms / 2), y0: 0, y1: 1,
      fillcolor: shade(t.pnl > 0 ? 'gain' : 'loss', 0.1), line: { width: 0 }, layer: 'below',
    });
  }
  return { inView, traces: traces.filter((trace) => trace.x.length), shapes, many: false };
}

const mostCandles = () => Math.max(60, Math.floor(Math.min(board.plot?.clientWidth || window.innerWidth, 1320) / 4));

async function marketDrawn() {
  const { pairs, lines } = facts.candles;
  const levels = await pairColumns(view.pair);
  const rows = [view.from, view.to].map((ms) => (ms - facts.candles.first_ms) / facts.step_ms);
  const shown = candlesBetween(levels, Math.floor(rows[0]), Math.ceil(rows[1]) + 1, mostCandles());
  const extra = overlays();
  // A line on a scale of its own says nothing where several bars are one candle.
  const drawable = lines.map((entry, number) => ({ ...entry, number })).filter((entry) => !view.hidden.has(entry.number) && (entry.over || shown.factor === 1));
  const below = drawable.filter((entry) => !entry.over);
  const traces = [
    {
      type: 'bar', name: 'Volume', x: shown.x, y: shown.volume, yaxis: 'y2', showlegend: false, hovertemplate: '%{y:,.4~s}<extra>Volume</extra>',
      marker: { color: shown.close.map((close, i) => (close >= shown.open[i] ? shade('gain', 0.5) : shade('loss', 0.5))), line: { width: 0 } },
    },
    {
      type: 'candlestick', name: pairs[view.pair].pair, x: shown.x, open: shown.open, high: shown.high, low: shown.low, close: shown.close, showlegend: false,
      increasing: { line: { color: colour('gain'), width: 1 }, fillcolor: colour('panel') },
      decreasing: { line: { color: colour('loss'), width: 1 }, fillcolor: colour('loss') },
    },
    ...drawable.map((entry) => line(plain(entry.name), shown.x, shown.lines[entry.number], colour(LINES[entry.number % LINES.length]), {
      line: { width: 1.3, dash: entry.number < LINES.length ? 'solid' : 'dash' }, rest: { yaxis: entry.over ? 'y' : 'y3', connectgaps: false, hovertemplate: '%{y:.6~g}' },
    })),
    ...extra.traces,
  ];
  describe(shown, extra);
  const lows = shown.low.length ? Math.min(...shown.low) : 0;
  const highs = shown.high.length ? Math.max(...shown.high) : 1;
  // Levels that are near may widen the chart; those of the chosen trade always do.
  const near = (level) => level > lows - 0.4 * (highs - lows) && level < highs + 0.4 * (highs - lows);
  const marked = view.hidden.has('levels') ? [] : [
    ...(extra.inView.length <= MOST_LEVELS ? extra.inView.flatMap((t) => [t.stop, t.target]).filter(near) : []),
    ...(view.trade?.pair === pairs[view.pair].pair && extra.inView.includes(view.trade) ? [view.trade.stop, view.trade.target] : []),
  ].filter(known);
  const [low, high] = [Math.min(lows, ...marked), Math.max(highs, ...marked)];
  const room = (high - low) * 0.05 || 1;
  return { traces, layout: {
    showlegend: false, shapes: extra.shapes, dragmode: coarse ? false : 'pan', hovermode: 'x',
    xaxis: { type: 'date', range: [view.from, view.to], rangeslider: { visible: false }, anchor: 'y2', hoverformat: '%Y-%m-%d %H:%M' },
    yaxis: { domain: [below.length ? 0.4 : 0.22, 1], range: [low - room, high + room], tickformat: ',', fixedrange: true },
    yaxis2: { domain: [0, 0.15], tickformat: '.2~s', fixedrange: true, rangemode: 'tozero', nticks: 3 },
    ...(below.length ? { yaxis3: { domain: [0.19, 0.36], fixedrange: true, nticks: 4 } } : {}),
  } };
}

function describe(shown, extra) {
  const coarseNow = shown.factor > 1 ? ` (${shown.factor.toLocaleString('en-US')} bars each)` : '';
  const many = extra.many ? ', too many to draw: zoom in' : '';
  const hidden = shown.factor > 1 && facts.candles.lines.some((entry, number) => !entry.over && !view.hidden.has(number));
  board.state.textContent = `${minute(view.from)} to ${minute(view.to)} UTC · candles of ${timeframe(shown.factor * facts.step_ms)}${coarseNow} · ${extra.inView.length.toLocaleString('en-US')} ${extra.inView.length === 1 ? 'trade' : 'trades'} in view${many}${hidden ? ` · zoom in to candles of ${facts.timeframe} for the lines below` : ''}`;
  board.from.value = day(view.from);
  board.to.value = day(view.to);
}

/** Move the chart. */
async function look(from, to) {
  const first = facts.candles.first_ms;
  const last = ofRow(Math.max(...(await pairColumns(view.pair)).map((level) => (level.row.at(-1) ?? 0) + level.factor)));
  const span = Math.max(to - from, 20 * facts.step_ms);
  if (span >= last - first) {
    view.from = first - (last - first) * 0.01;
    view.to = last + (last - first) * 0.01;
    await redrawMarket();
    return;
  }
  const middle = Math.min(Math.max((from + to) / 2, first + span / 2 - span * 0.05), last - span / 2 + span * 0.05);
  view.from = middle - span / 2;
  view.to = middle + span / 2;
  await redrawMarket();
}

let drawing = null;
async function redrawMarket() {
  if (!board?.plot) return;
  const mine = Symbol('draw');
  drawing = mine;
  const [Plotly, made] = await Promise.all([charts(), marketDrawn()]);
  if (drawing === mine) await Plotly.react(board.plot, made.traces, layout(made.layout), SETTINGS);
}

const shift = (share) => look(view.from + share * (view.to - view.from), view.to + share * (view.to - view.from));
function zoom(factor) {
  const [middle, half] = [(view.from + view.to) / 2, ((view.to - view.from) / 2) * factor];
  return look(middle - half, middle + half);
}

async function choosePair(number, trade = null) {
  const changed = number !== view.pair;
  view.pair = number;
  view.trade = trade;
  board.pair.value = String(number);
  if (changed && !trade) await look(view.from, view.to);
}

/** Show a trade: its pair, its time with room on both sides. */
async function showTrade(trade, scrollTo = true) {
  const number = facts.candles.pairs.findIndex((entry) => entry.pair === trade.pair);
  if (number < 0) return;
  await board.figure.start();
  await choosePair(number, trade);
  const room = Math.max((trade.exit_time - trade.entry_time) * 0.8, 40 * facts.step_ms);
  await look(trade.entry_time - room, trade.exit_time + room);
  if (scrollTo) {
    document.getElementById('market').scrollIntoView();
    board.plot.focus({ preventScroll: true });
  }
  announce(`Trade ${trade.number}: ${trade.side} ${trade.pair}, ${minute(trade.entry_time)} to ${minute(trade.exit_time)}, ${fixed(trade.pnl, 2)} ${facts.currency}, ${trade.exit_reason}`);
  board.trade.textContent = `Trade ${trade.number} of ${allTrades.length}: ${trade.side}, ${fixed(trade.pnl, 2)} ${facts.currency} (${signed(trade.gain)}), ${trade.exit_reason}`;
  document.dispatchEvent(new CustomEvent('trade', { detail: trade }));
}

function stepTrade(direction) {
  const pair = facts.candles.pairs[view.pair].pair;
  const own = allTrades.filter((t) => t.pair === pair).sort((a, b) => a.entry_time - b.entry_time);
  if (!own.length) return announce(`No trades of ${pair}`);
  const middle = (view.from + view.to) / 2;
  let at = view.trade?.pair === pair ? own.indexOf(view.trade) + direction : own.findIndex((t) => t.entry_time >= middle) - (direction < 0 ? 1 : 0);
  if (at < 0) at = direction < 0 ? 0 : own.length - 1;
  return showTrade(own[Math.min(at, own.length - 1)], false);
}

function marketSection() {
  const { pairs, why, lines } = facts.candles;
  if (!pairs.length) return section('market', 'Market', `No candles on this page: ${why || 'the run has none'}.`);
  const busiest = pairs.reduce((best, entry, number) => (entry.trades > pairs[best].trades ? number : best), 0);
  view.pair = busiest;
  const button = (text, label, act) => h('button', { type: 'button', 'aria-label': label, title: label, onclick: act }, text);
  const pairPicker = h('select', { id: 'pair', onchange: (event) => choosePair(Number(event.target.value)) },
    pairs.map((entry, number) => h('option', { value: number }, `${entry.pair} (${entry.trades.toLocaleString('en-US')} ${entry.trades === 1 ? 'trade' : 'trades'})`)));
  const dated = (name) => h('input', { type: 'date', onchange: () => {
    const [from, to] = [Date.parse(board.from.value), Date.parse(board.to.value) + DAY];
    if (known(from) && known(to) && to > from) look(from, to);
  }, 'aria-label': name });
  board = { pair: pairPicker, from: dated('From'), to: dated('To'), state: h('p', { class: 'state' }), trade: h('span', {}), plot: null, figure: null };
  const tools = h('div', { class: 'tools' },
    h('label', {}, 'Pair', pairPicker), h('label', {}, 'From', board.from), h('label', {}, 'To', board.to),
    h('div', { class: 'group', role: 'group', 'aria-label': 'Move the candle chart' },
      button('◀', 'Earlier', () => shift(-0.5)), button('▶', 'Later', () => shift(0.5)), button('+', 'Zoom in', () => zoom(0.5)), button(MINUS, 'Zoom out', () => zoom(2)),
      button('All', 'Show the whole run', () => look(-1e15, 1e15))),
    h('div', { class: 'group', role: 'group', 'aria-label': 'Trades on the candle chart' },
      button('Previous trade', 'Previous trade', () => stepTrade(-1)), button('Next trade', 'Next trade', () => stepTrade(1))));
  const thin = pairs.filter((entry) => entry.levels.length > 1);
  const thinned = thin.length ? thinNote(thin) : null;
  const chart = figure({
    id: 'candles', title: 'Candles', said: 'A candle stands at its open: hollow rises, filled falls. ▲ long, ▼ short, □ exit.', height: narrow() ? 480 : lines.some((entry) => !entry.over) ? 640 : 560,
    summary: 'Candles with entries, exits, stops and targets; the trades are in the table below. With the chart in focus the arrow keys move, plus and minus zoom, N and P step through trades.',
    async drawn() {
      await tradesRead();
      if (!view.to) await firstLook();
      return marketDrawn();
    },
    after(plot) {
      if (board.plot) return;
      board.plot = plot;
      plot.setAttribute('tabindex', '0');
      plot.setAttribute('role', 'application');
      plot.on('plotly_relayout', (change) => {
        const from = change['xaxis.range[0]'];
        if (from !== undefined) look(asMs(from), asMs(change['xaxis.range[1]']));
      });
      plot.on('plotly_doubleclick', () => { look(-1e15, 1e15); return false; });
      const keys = { ArrowLeft: () => shift(-0.25), ArrowRight: () => shift(0.25), '+': () => zoom(0.5), '=': () => zoom(0.5), '-': () => zoom(2), n: () => stepTrade(1), p: () => stepTrade(-1) };
      plot.addEventListener('keydown', (event) => {
        if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        keys[event.key]();
      });
    },
  });
  chart.querySelector('figcaption').append(board.trade);
  chart.querySelector('figcaption').after(legend(lines));
  chart.append(board.state);
  board.figure = chart;
  return section('market', 'Market', thinned, tools, chart);
}

/** What the lines and marks mean; those that can be left out are buttons. */
function legend(lines) {
  lines.forEach((_, number) => { if (number >= SHOWN_LINES) view.hidden.add(number); });
  view.hidden.add('fills');
  const toggle = (key, name, sign) => {
    const button = h('button', { type: 'button', 'aria-pressed': String(!view.hidden.has(key)), onclick: () => {
      if (!view.hidden.delete(key)) view.hidden.add(key);
      button.setAttribute('aria-pressed', String(!view.hidden.has(key)));
      redrawMarket();
    } }, sign, name);
    return button;
  };
  const stroke = (name, style) => h('i', { style: `border-top-style:${style};border-color:var(--${name})`, 'aria-hidden': 'true' });
  const mark = (text) => h('i', { class: 'mark', 'aria-hidden': 'true' }, text);
  return h('div', { class: 'lines', role: 'group', 'aria-label': 'What the candle chart shows' },
    lines.map((entry, number) => toggle(number, entry.name, stroke(LINES[number % LINES.length], number < LINES.length ? 'solid' : 'dashed'))),
    toggle('levels', 'Stops and targets', stroke('soft', 'dotted')), toggle('fills', 'Other fills', mark('•')));
}

function thinNote(thin) {
  const bars = sum(thin.map((entry) => entry.bars));
  const lost = sum(thin.map((entry) => entry.trades - entry.trades_in_detail));
  const rough = timeframe(thin[0].levels[1].factor * facts.step_ms);
  const kept = lost ? `all but ${lost.toLocaleString('en-US')} trades, those that won or lost least` : 'every trade';
  return `${bars.toLocaleString('en-US')} bars are too many for one page: it has candles of ${rough} throughout, highs and lows kept, and candles of ${facts.timeframe} around ${kept}.`;
}

const asMs = (value) => (typeof value === 'number' ? value : Date.parse(`${String(value).replace(' ', 'T').slice(0, 23)}Z`));

/** Begin with the end of trading: the last trades of the busiest pair. */
async function firstLook() {
  const pair = facts.candles.pairs[view.pair].pair;
  board.pair.value = String(view.pair);
  const own = allTrades.filter((t) => t.pair === pair);
  const levels = await pairColumns(view.pair);
  const last = own.length ? own.at(-1).exit_time : ofRow(levels[0].row.at(-1) ?? 0);
  const bars = mostCandles() * 0.8;
  const end = ofRow(Math.max(...levels.map((level) => (level.row.at(-1) ?? 0) + level.factor)));
  view.to = Math.min(last + 0.1 * bars * facts.step_ms, end);
  view.from = Math.max(view.to - bars * facts.step_ms, facts.candles.first_ms - facts.step_ms / 2);
}
