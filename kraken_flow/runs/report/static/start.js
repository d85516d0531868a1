const facts = JSON.parse(document.getElementById('facts').textContent);

function start() {
  const main = document.getElementById('main');
  let sections;
  if (facts.kind === 'comparison') sections = comparison();
  else {
    heading();
    sections = [summarySection(), equitySection(), marketSection(), tradesSection(), monthsSection(), drawdownsSection(), rollingSection(), costsSection(), riskSection(), numbersSection(), originSection()];
  }
  sections = sections.filter(Boolean);
  main.append(...sections);
  navigation(sections);
  footing();
  setTheme(root.dataset.theme === 'dark');
}

/** Paper is white, and what was not seen yet is drawn for it. */
let before = null;
window.addEventListener('beforeprint', () => {
  before = root.dataset.theme;
  if (before === 'dark') setTheme(false);
  for (const draw of early) draw();
});
window.addEventListener('afterprint', () => {
  if (before === 'dark') setTheme(true);
});

start();
