function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Unpack a blob of the page; its text is dropped, so that it is in memory once. */
async function unpacked(name) {
  const element = document.getElementById(`blob-${name}`);
  const bytes = bytesOf(element.textContent);
  element.remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const MISSING = -(2 ** 31);

/** Read integers that were written lowest bytes first, as differences where the column walks. */
function wholes(bytes, offset, { n, step, kind }) {
  const values = new Float64Array(n);
  let before = 0;
  for (let i = 0; i < n; i += 1) {
    const at = offset + i;
    const bits = bytes[at] | (bytes[at + n] << 8) | (bytes[at + 2 * n] << 16) | (bytes[at + 3 * n] << 24);
    const difference = (bits >>> 1) ^ -(bits & 1);
    before = kind === 'walk' ? (before + difference) | 0 : difference;
    values[i] = before === MISSING ? NaN : before * step;
  }
  return values;
}

function exacts(bytes, offset, { n }) {
  const rows = new Uint8Array(n * 8);
  for (let byte = 0; byte < 8; byte += 1) {
    for (let i = 0; i < n; i += 1) rows[i * 8 + byte] = bytes[offset + byte * n + i];
  }
  return new Float64Array(rows.buffer);
}

/** Return the columns of a blob by name; those of words as arrays of strings. */
async function columnsOf(name, index) {
  const bytes = await unpacked(name);
  const columns = {};
  let offset = 0;
  for (const [column, facts] of Object.entries(index)) {
    const values = facts.kind === 'exact' ? exacts(bytes, offset, facts) : wholes(bytes, offset, facts);
    offset += facts.n * (facts.kind === 'exact' ? 8 : 4);
    columns[column] = facts.words ? Array.from(values, (number) => facts.words[number]) : values;
  }
  return columns;
}

/** The first index whose value is at least `value`, in an ascending column. */
function firstAt(values, value) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
