const PAGE = window.innerWidth < 760 ? 10 : 25;

/** A region that scrolls sideways by touch and by keys. */
function scrolls(label, table) {
  const region = h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label }, table);
  const wide = new ResizeObserver(() => region.classList.toggle('more', region.scrollWidth > region.clientWidth + 2));
  wide.observe(region);
  wide.observe(table);
  return region;
}

/**
 * A table that sorts by its heads.
 *
 * columns: { name, of: row => sort key, shown: row => text or node, number, wraps, head }; rows: any; page: rows per
 * page, 0 for all; first: whether the first column is as narrow as it can be; sorted: [column, 1 or -1]; onrow: called with each row's element. Returns { element, set(rows) }.
 */
function sortable({ label, columns, rows, page = 0, first = false, sorted = null, onrow = null, caption = null }) {
  let [by, direction] = sorted ?? [null, 1];
  let at = 0;
  let all = rows;
  const body = h('tbody');
  const heads = columns.map((column, number) => h('th', { scope: 'col', class: column.number ? 'n' : '' },
    h('button', { type: 'button', onclick: () => sortBy(number) }, column.name)));
  const table = h('table', { class: first ? 'first' : page ? 'paged' : null }, caption && h('caption', {}, caption), h('thead', {}, h('tr', {}, heads)), body);
  const place = h('span', { role: 'status' });
  const previous = h('button', { type: 'button', onclick: () => turn(-1) }, 'Previous');
  const next = h('button', { type: 'button', onclick: () => turn(1) }, 'Next');
  const pager = page ? h('div', { class: 'pager' }, previous, next, place) : null;

  function sortBy(number) {
    direction = by === number ? -direction : columns[number].number ? -1 : 1;
    by = number;
    at = 0;
    show();
  }
  function turn(steps) {
    at += steps;
    show();
  }
  function ordered() {
    if (by === null) return all;
    const { of } = columns[by];
    const blank = (value) => value === null || value === undefined || Number.isNaN(value) || value === '';
    return [...all].sort((a, b) => {
      const [x, y] = [of(a), of(b)];
      if (blank(x) || blank(y)) return blank(x) - blank(y);
      return direction * (x < y ? -1 : x > y ? 1 : 0);
    });
  }
  function show() {
    const pages = page ? Math.max(1, Math.ceil(all.length / page)) : 1;
    at = Math.min(Math.max(at, 0), pages - 1);
    heads.forEach((head, number) => {
      if (number === by) head.setAttribute('aria-sort', direction > 0 ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
    });
    const shown = page ? ordered().slice(at * page, (at + 1) * page) : ordered();
    body.replaceChildren(...shown.map((row) => {
      const element = h('tr', {}, columns.map((column) => {
        const content = column.shown(row);
        const classes = [column.number && 'n', column.wraps && 'wraps', column.tone && tone(column.of(row))];
        return h(column.head ? 'th' : 'td', { class: classes.filter(Boolean).join(' ') || null, scope: column.head ? 'row' : null }, content ?? NONE);
      }));
      if (onrow) onrow(element, row);
      return element;
    }));
    if (!shown.length) body.append(h('tr', {}, h('td', { colspan: columns.length }, 'none')));
    previous.disabled = at === 0;
    next.disabled = at === pages - 1;
    place.textContent = `${all.length.toLocaleString('en-US')} rows, page ${at + 1} of ${pages}`;
  }
  show();
  return {
    element: h('div', { class: 'panel' }, scrolls(label, table), pager),
    set(changed) {
      all = changed;
      at = 0;
      show();
    },
    /** Turn to the page of a row. */
    reveal(row) {
      const number = ordered().indexOf(row);
      if (number >= 0 && page) at = Math.floor(number / page);
      show();
    },
  };
}
