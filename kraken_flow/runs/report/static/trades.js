let reading = null;

/** The closed trades as objects, times in ms. */
function tradesRead() {
  reading ??= (async () => {
    const columns = await columnsOf('trades', facts.trades.columns);
    const names = Object.keys(columns);
    const at = (seconds) => facts.curves.first_ms + seconds * 1000;
    allTrades = Array.from(columns.pair, (_, row) => {
      const trade = Object.fromEntries(names.map((name) => [name, columns[name][row]]));
      trade.number = row + 1;
      trade.entry_time = at(trade.entry_time);
      trade.exit_time = at(trade.exit_time);
      trade.held = trade.exit_time - trade.entry_time;
      trade.gain = trade.pnl / (trade.entry_price * trade.qty);
      return trade;
    });
    const fills = await columnsOf('fills', facts.fills.columns);
    allFills = Array.from(fills.pair, (_, row) => ({
      time: at(fills.time[row]), price: fills.price[row], qty: fills.qty[row], pair: fills.pair[row], side: fills.side[row], reason: fills.reason[row],
    }));
    return allTrades;
  })();
  return reading;
}

const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const GROUPS = {
  pair: ['Pair', (t) => t.pair],
  exit_reason: ['Exit reason', (t) => t.exit_reason],
  tag: ['Tag', (t) => t.tag || '(none)'],
  side: ['Side', (t) => t.side],
  month: ['Month of exit', (t) => day(t.exit_time - 1).slice(0, 7)],
  weekday: ['Weekday of entry', (t) => WEEKDAYS[(new Date(t.entry_time).getUTCDay() + 6) % 7]],
};

const tradeColumns = () => [
  { name: 'Trade', of: (t) => t.number, number: true, shown: (t) => facts.candles.pairs.length
    ? h('button', { type: 'button', class: 'show', 'aria-label': `Show trade ${t.number} on the chart`, onclick: () => showTrade(t) }, String(t.number)) : String(t.number) },
  { name: 'Pair', of: (t) => t.pair, shown: (t) => t.pair, head: true },
  { name: 'Side', of: (t) => t.side, shown: (t) => t.side },
  { name: `Result, ${facts.currency}`, of: (t) => t.pnl, number: true, tone: true, shown: (t) => fixed(t.pnl, 2) },
  { name: 'Result, %', of: (t) => t.gain, number: true, tone: true, shown: (t) => fixed(t.gain * 100, 2) },
  { name: 'Entry, UTC', of: (t) => t.entry_time, shown: (t) => minute(t.entry_time) },
  { name: 'Exit, UTC', of: (t) => t.exit_time, shown: (t) => minute(t.exit_time) },
  { name: 'Exit reason', of: (t) => t.exit_reason, shown: (t) => t.exit_reason },
  { name: 'Held', of: (t) => t.held, number: true, shown: (t) => duration(t.held) },
  { name: 'Entry price', of: (t) => t.entry_price, number: true, shown: (t) => price(t.entry_price) },
  { name: 'Exit price', of: (t) => t.exit_price, number: true, shown: (t) => price(t.exit_price) },
  { name: 'Quantity', of: (t) => t.qty, number: true, shown: (t) => price(t.qty) },
  { name: `Fees, ${facts.currency}`, of: (t) => t.fees, number: true, shown: (t) => fixed(t.fees, 2) },
  { name: 'Worst, %', of: (t) => t.mae, number: true, shown: (t) => fixed(t.mae * 100, 2) },
  { name: 'Best, %', of: (t) => t.mfe, number: true, shown: (t) => fixed(t.mfe * 100, 2) },
  { name: 'Tag', of: (t) => t.tag, shown: (t) => t.tag || NONE, wraps: false },
];

const groupColumns = (title) => [
  { name: title, of: (g) => g.name, shown: (g) => g.name, head: true },
  { name: 'Trades', of: (g) => g.trades.length, number: true, shown: (g) => g.trades.length.toLocaleString('en-US') },
  { name: `Result, ${facts.currency}`, of: (g) => g.profit, number: true, tone: true, shown: (g) => fixed(g.profit, 2) },
  { name: 'Of start, %', of: (g) => g.profit, number: true, tone: true, shown: (g) => fixed((g.profit / facts.start_equity) * 100, 2) },
  { name: 'Mean, %', of: (g) => g.mean, number: true, tone: true, shown: (g) => fixed(g.mean * 100, 2) },
  { name: 'Mean held', of: (g) => g.held, number: true, shown: (g) => duration(g.held) },
  { name: 'Won', of: (g) => g.won, number: true, shown: (g) => g.won.toLocaleString('en-US') },
  { name: 'Lost', of: (g) => g.lost, number: true, shown: (g) => g.lost.toLocaleString('en-US') },
  { name: 'Win rate, %', of: (g) => g.won / g.trades.length, number: true, shown: (g) => fixed((g.won / g.trades.length) * 100, 1) },
];

function grouped(trades, key) {
  const groups = new Map();
  for (const trade of trades) {
    const name = key(trade);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(trade);
  }
  return [...groups].map(([name, own]) => ({
    name, trades: own, profit: sum(own.map((t) => t.pnl)), mean: sum(own.map((t) => t.gain)) / own.length, held: sum(own.map((t) => t.held)) / own.length,
    won: own.filter((t) => t.pnl > 0).length, lost: own.filter((t) => t.pnl < 0).length,
  }));
}

function tradesSection() {
  const place = h('div', {}, h('p', { class: 'state' }, 'reading …'));
  const result = section('trades', 'Trades', 'Closed round trips, net of all costs. Worst and best are how far the price ran against and for the trade.', place);
  tradesRead().then((trades) => place.replaceChildren(...tradesParts(trades)));
  return result;
}

function tradesParts(trades) {
  if (!trades.length) return [h('p', { class: 'state' }, 'No trade was closed.')];
  const options = (key) => [h('option', { value: '' }, 'all'), ...[...new Set(trades.map((t) => t[key]))].sort().map((value) => h('option', { value }, value || '(none)'))];
  const picker = (name, key) => h('select', { 'aria-label': name, 'data-filter': key, onchange: filter }, options(key));
  const picks = [['Pair', 'pair'], ['Side', 'side'], ['Exit reason', 'exit_reason']].map(([name, key]) => [name, key, picker(name, key)]);
  const outcome = h('select', { 'data-filter': 'outcome', onchange: filter }, ['all', 'won', 'lost'].map((value) => h('option', { value }, value)));
  const search = h('input', { type: 'search', placeholder: 'date, tag …', size: 14, oninput: filter });
  const group = h('select', { id: 'group', onchange: regroup }, Object.entries(GROUPS).map(([value, [name]]) => h('option', { value }, name.toLowerCase())));
  const state = h('p', { class: 'state', role: 'status' });
  const rowOf = new Map();
  const table = sortable({
    label: 'Trades', columns: tradeColumns(), rows: trades, page: PAGE,
    onrow(element, trade) {
      rowOf.set(trade.number, element);
      if (view.trade === trade) element.className = 'chosen';
    },
  });
  const groups = h('div', {});
  let chosen = trades;

  function filter() {
    const text = search.value.trim().toLowerCase();
    chosen = trades.filter((t) => picks.every(([, key, element]) => !element.selectedIndex || t[key] === element.value)
      && (outcome.value === 'all' || (outcome.value === 'won' ? t.pnl > 0 : t.pnl < 0))
      && (!text || `${t.number} ${t.pair} ${t.tag} ${t.exit_reason} ${minute(t.entry_time)} ${minute(t.exit_time)}`.toLowerCase().includes(text)));
    table.set(chosen);
    regroup();
  }
  function regroup() {
    const [name, key] = GROUPS[group.value];
    const sorted = ['month', 'weekday'].includes(group.value) ? null : [2, -1];
    const rows = grouped(chosen, key);
    if (group.value === 'month') rows.sort((a, b) => (a.name < b.name ? -1 : 1));
    if (group.value === 'weekday') rows.sort((a, b) => WEEKDAYS.indexOf(a.name) - WEEKDAYS.indexOf(b.name));
    groups.replaceChildren(sortable({ label: `Trades by ${name}`, columns: groupColumns(name), rows, sorted }).element);
    const won = chosen.filter((t) => t.pnl > 0).length;
    state.textContent = `${chosen.length.toLocaleString('en-US')} of ${trades.length.toLocaleString('en-US')} trades · together ${fixed(sum(chosen.map((t) => t.pnl)), 2)} ${facts.currency}${chosen.length ? ` · ${percent(won / chosen.length, 1)} won` : ''}`;
  }
  document.addEventListener('trade', (event) => {
    for (const element of rowOf.values()) element.classList.remove('chosen');
    if (chosen.includes(event.detail)) table.reveal(event.detail);
  });
  filter();
  return [
    h('div', { class: 'tools' }, picks.map(([name, , element]) => h('label', {}, name, element)), h('label', {}, 'Outcome', outcome), h('label', {}, 'Search', search)),
    state, table.element,
    h('div', { class: 'tools', style: 'margin-top:24px' }, h('label', {}, 'The same trades by', group)), groups,
  ];
}
