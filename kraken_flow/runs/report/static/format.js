const NONE = '–';
const MINUS = '−';

/** Make an element. Text comes in as text: nothing in this page is ever parsed as HTML. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'class') element.className = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** What a chart shows as text: the chart library reads a few tags, and these are none. */
const plain = (text) => String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** A text whose last word, a unit, does not go to a line of its own. */
const unbroken = (text) => text.replace(/ (?=[^\d\s]+$)/, '\u00a0');

const known = (value) => typeof value === 'number' && Number.isFinite(value);

function fixed(value, digits) {
  if (!known(value)) return NONE;
  const text = Math.abs(value).toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return (value < 0 && /[1-9]/.test(text) ? MINUS : '') + text;
}

const percent = (value, digits = 2) => (known(value) ? `${fixed(value * 100, digits)} %` : NONE);
const signed = (value, digits = 2) => (known(value) && value > 0 ? '+' : '') + percent(value, digits);

/** A price, with as many decimals as tell it from its neighbours. */
function price(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  const digits = size >= 1000 ? 2 : size >= 1 ? 4 : 8;
  return value.toLocaleString('en-US', { maximumFractionDigits: digits }).replace('-', MINUS);
}

const iso = (ms) => new Date(ms).toISOString();
const day = (ms) => iso(ms).slice(0, 10);
const minute = (ms) => iso(ms).slice(0, 16).replace('T', ' ');

function duration(ms) {
  if (!known(ms)) return NONE;
  const minutes = Math.round(ms / 60000);
  const days = Math.floor(minutes / 1440);
  const rest = `${Math.floor((minutes % 1440) / 60)}:${String(minutes % 60).padStart(2, '0')}`;
  return days ? `${days}d ${rest.padStart(5, '0')}` : rest;
}

/** A length of time in the words of timeframes: 15m, 4h, 1d. */
function timeframe(ms) {
  const units = [['w', 604800000], ['d', 86400000], ['h', 3600000], ['m', 60000], ['s', 1000]];
  const [unit, size] = units.find(([, size]) => ms % size === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

const tone = (value) => (value > 0 ? 'good' : value < 0 ? 'bad' : '');
const sum = (values) => values.reduce((total, value) => total + value, 0);
