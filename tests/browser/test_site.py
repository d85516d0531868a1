"""The user guide in a real browser, opened from its folder: every page, on a desk and on a phone, light and dark."""

import json
import time
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.browser.conftest import SIZES, resized

FAINT = """
document.body.dataset.mdColorScheme = arguments[0];
const rgba = (text) => { const p = text.match(/[\\d.]+/g).map(Number); return [p[0], p[1], p[2], p[3] ?? 1]; };
const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const light = (colour) => { const [r, g, b] = colour.slice(0, 3).map((c) => c / 255)
  .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const lineage = (element) => { const all = []; for (let e = element; e; e = e.parentElement) all.push(e); return all; };
const ground = (element) => lineage(element).map((e) => rgba(getComputedStyle(e).backgroundColor))
  .reduceRight((below, colour) => over(colour, below), [255, 255, 255, 1]);
const found = {}, walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node; (node = walker.nextNode());) {
  const element = node.parentElement;
  if (!node.textContent.trim() || element.closest('script, style, noscript, svg')) continue;
  const box = element.getBoundingClientRect(), style = getComputedStyle(element);
  if (box.width < 2 || box.height < 2 || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
  const ink = rgba(style.color), below = ground(element);
  ink[3] *= lineage(element).reduce((all, e) => all * Number(getComputedStyle(e).opacity), 1);
  const [a, b] = [light(over(ink, below)), light(below)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
  if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) found[node.textContent.trim().slice(0, 40)] = ratio;
}
return found;
"""
"""The texts whose contrast with what is behind them is below what WCAG 2 asks for, in the theme that is given."""
FACTS = """
document.head.insertAdjacentHTML('beforeend', '<style>*, ::before, ::after { transition: none !important }</style>');
const heads = [...document.querySelectorAll('article :is(h1, h2, h3, h4, h5, h6)')].map((head) => Number(head.tagName[1]));
const cut = (e) => e.scrollWidth > e.clientWidth + 1;
return {
  width: document.documentElement.scrollWidth,
  nameless: [...document.images].filter((image) => !image.alt.trim()).map((image) => image.src),
  unseen: [...document.images].filter((image) => !image.naturalWidth).map((image) => image.src),
  holes: heads.filter((level, i) => level > (heads[i - 1] ?? 0) + 1).length,
  titles: heads.filter((level) => level === 1).length,
  cut: [...document.querySelectorAll('.md-typeset__scrollwrap, .kf-commands code')].filter(cut).length,
  names: [...document.querySelectorAll('[id]')].map((e) => e.id),
  links: [...document.querySelectorAll('a[href]')].map((a) => a.href).filter((href) => href.startsWith('file:')),
  scripts: document.querySelectorAll('script[src]').length,
};
"""


def pages_of(site):
    return {p.relative_to(site).as_posix(): p for p in sorted(site.rglob("*.html"))}


@pytest.mark.parametrize("size", SIZES)
def test_every_page_can_be_read(browser, site, size):
    """Nothing wider than the page, no faint text in either theme, no complaint, no request to elsewhere."""
    resized(browser, size)
    wrong, names, links = {}, {}, {}
    for name, path in pages_of(site).items():
        for log in ("browser", "performance"):
            browser.get_log(log)
        browser.get(path.as_uri())
        facts = browser.execute_script(FACTS)
        assert facts["scripts"] > 0
        names[path], links[path] = set(facts["names"]), facts["links"]
        sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        asked = [m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"]
        found = {
            "light": browser.execute_script(FAINT, "default"),
            "dark": browser.execute_script(FAINT, "slate"),
            "wide": facts["width"] > size[0],
            "cut on a phone": size[0] < 600 and facts["cut"],
            "images": facts["nameless"] + facts["unseen"],
            "heads": facts["holes"] + abs(facts["titles"] - 1),
            "said": [entry["message"] for entry in browser.get_log("browser")],
            "asked": [url for url in asked if not url.startswith(("file:", "data:", "blob:"))],
        }
        wrong |= {f"{name}: {what}": said for what, said in found.items() if said}
    for path, leading in links.items():
        for href in leading:
            to, _, part = unquote(href.removeprefix("file://")).partition("#")
            if Path(to) not in names or (part and part not in names[Path(to)]):
                wrong[f"{path.name}: dead"] = href
    assert wrong == {}


def test_the_search_finds_without_a_server(browser, site):
    resized(browser, SIZES[0])
    browser.get((site / "reference/risk.html").as_uri())
    browser.execute_script(
        "document.querySelector('#__search').click(); const q = document.querySelector('[data-md-component=search-query]');"
        "q.focus(); q.value = 'trailing stop'; q.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true}))"
    )
    first, until = "document.querySelector('.md-search-result__link')?.href", time.monotonic() + 20
    while not (found := browser.execute_script(f"return {first}")):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert found.startswith((site / "fills.html").as_uri())


def test_every_page_leads_on_and_back(site):
    lost = [name for name, path in pages_of(site).items() if "md-footer__link" not in path.read_text("utf-8")]
    assert lost == []
