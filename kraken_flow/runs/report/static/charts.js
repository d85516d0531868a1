let library = null;

/** Bring the chart library to life: the first chart that comes into sight needs it. */
function charts() {
  library ??= unpacked('library').then((bytes) => {
    const script = document.createElement('script');
    script.textContent = new TextDecoder().decode(bytes);
    document.head.append(script);
    script.remove();
    return window.Plotly;
  });
  return library;
}

const coarse = window.matchMedia('(pointer: coarse)').matches;
const narrow = () => window.innerWidth < 760;

/** What all charts share. */
function layout(changes) {
  const axis = {
    gridcolor: colour('line'), linecolor: colour('strong-line'), zerolinecolor: colour('strong-line'),
    tickfont: { color: colour('soft'), size: 12 }, title: { font: { color: colour('soft'), size: 12 } }, automargin: true,
  };
  const merged = {
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: { family: getComputedStyle(document.body).fontFamily, color: colour('ink'), size: 12 },
    margin: { l: narrow() ? 8 : 12, r: narrow() ? 8 : 16, t: 8, b: 8 }, hovermode: 'x unified', dragmode: coarse ? false : 'zoom',
    hoverlabel: { bgcolor: colour('panel'), bordercolor: colour('strong-line'), font: { color: colour('ink'), size: 12 } },
    legend: { orientation: 'h', traceorder: 'normal', x: 0, y: 1.02, yanchor: 'bottom', font: { color: colour('ink'), size: 12 }, bgcolor: 'rgba(0,0,0,0)' },
    ...changes,
  };
  for (const name of Object.keys(merged)) {
    if (/^[xy]axis\d*$/.test(name)) {
      merged[name] = { ...axis, ...merged[name], title: merged[name].title ? { ...axis.title, text: merged[name].title } : undefined };
    }
  }
  return merged;
}

const SETTINGS = { displayModeBar: false, responsive: true, doubleClick: 'reset', showTips: false, locale: 'en-US' };

/**
 * A figure whose chart is drawn when it comes into sight, and again when the colours change.
 *
 * element.start() draws it at once. drawn() returns { traces, layout }; summary says in a sentence what a reader without the picture misses.
 */
function figure({ id, title, said, summary, height, drawn, after }) {
  const plot = h('div', { class: 'plot', id, role: 'img', 'aria-label': `${title}. ${summary}`, style: `height:${height}px` },
    h('div', { class: 'waits' }, 'drawing …'));
  const element = h('figure', { class: 'panel' }, h('figcaption', {}, h('h3', {}, title), said && h('span', {}, said)), plot);
  let asked = null;
  async function draw() {
    const [Plotly, made] = await Promise.all([charts(), drawn()]);
    plot.querySelector('.waits')?.remove();
    await Plotly.react(plot, made.traces, layout(made.layout), SETTINGS);
    if (after) after(plot, Plotly);
    plot.dataset.ready = 'yes';
  }
  function start() {
    asked ??= draw();
    return asked;
  }
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    start();
  }, { rootMargin: '400px' }).observe(plot);
  themed.push(() => asked && asked.then(draw));
  early.push(start);
  element.start = start;
  return element;
}

/** Charts that printing needs before they were seen. */
const early = [];
