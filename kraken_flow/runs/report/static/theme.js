const root = document.documentElement;
const prefersDark = window.matchMedia('(prefers-color-scheme: dark)');
const themed = [];

const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
const tint = (name, strength) => `rgb(${colour(`${name}-fill`)} / ${strength})`;
/** The same for the chart library, which reads commas. */
const shade = (name, strength) => `rgba(${colour(`${name}-fill`).split(' ').join(',')},${strength})`;

function setTheme(dark) {
  root.dataset.theme = dark ? 'dark' : 'light';
  const button = document.getElementById('theme');
  if (button) {
    button.textContent = dark ? 'Light' : 'Dark';
    button.setAttribute('aria-label', `Change to ${dark ? 'light' : 'dark'} colours`);
  }
  for (const redraw of themed) redraw();
}

function themeButton() {
  return h('button', { id: 'theme', type: 'button', onclick: () => setTheme(root.dataset.theme !== 'dark') });
}

prefersDark.addEventListener('change', (event) => setTheme(event.matches));
root.dataset.theme = prefersDark.matches ? 'dark' : 'light';
