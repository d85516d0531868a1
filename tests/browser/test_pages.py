"""The pages in a real browser: they can be used, complain of nothing, and ask nobody for anything."""

import json
import shutil
import sys
import time
from itertools import pairwise

import pytest

from kraken_flow.app import main
from tests.browser.conftest import SIZES, resized
from tests.unit.modes.past_runs import SHIPPED, project

EVIL = "</script><img src=x onerror=window.evil=1>"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A run whose words try to be markup, one with other parameters, and the page that compares them."""
    folder = project(tmp_path_factory.mktemp("pages"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", list(sys.path))
        assert main([*SHIPPED, "run_dir=a"]) == 0
        assert main([*SHIPPED[:-1], "strategy.slow=16", "run_dir=b"]) == 0
        config, manifest = folder / "a/config.yaml", folder / "a/manifest.json"
        config.write_text(f"{config.read_text('utf-8')}# {EVIL}\n", "utf-8")
        manifest.write_text(manifest.read_text("utf-8").replace('"sma_cross"', f'"{EVIL}"'), "utf-8")
        assert main(["mode=report", "mode.run=a"]) == 0
        assert main(["mode=report", "mode.run=[a,b]", "mode.out=both.html"]) == 0
    return folder


class Page:
    """One page that is open, at one size and in one theme."""

    def __init__(self, browser, path, size=(1440, 900), dark=False):
        self.browser = browser
        resized(browser, size)
        theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": theme})
        for log in ("browser", "performance"):
            browser.get_log(log)
        browser.get(path.as_uri())
        self.wait("document.querySelectorAll('main section').length > 3")

    def js(self, code, *given):
        return self.browser.execute_script(f"return ({code})", *given)

    def wait(self, code, seconds=30):
        until = time.monotonic() + seconds
        while not (found := self.js(code)):
            assert time.monotonic() < until, code
            time.sleep(0.05)
        return found

    def click(self, selector):
        self.wait(f"!!document.querySelector({json.dumps(selector)})")
        self.browser.execute_script("document.querySelector(arguments[0]).click()", selector)

    def to(self, selector):
        """Scroll to something and wait until its chart is drawn."""
        self.browser.execute_script(
            "document.querySelector(arguments[0]).scrollIntoView({block: 'center', behavior: 'instant'})", selector
        )
        self.wait(f"document.querySelector({json.dumps(selector)}).dataset.ready === 'yes'")

    def complaints(self):
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def requests(self):
        messages = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith(("data:", "blob:"))]


CHARTS = ("#equity", "#candles", "#distribution", "#rolling-exposure", "#rolling-turnover")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_of_a_run_draws_itself_without_a_complaint_or_a_request(browser, pages, size, dark):
    page = Page(browser, pages / "a/report.html", size, dark)
    for chart in CHARTS:
        page.to(chart)
    assert page.js("document.documentElement.dataset.theme") == ("dark" if dark else "light")
    assert page.js("document.documentElement.scrollWidth") <= size[0]
    assert page.complaints() == []
    assert page.requests() == [(pages / "a/report.html").as_uri()]
    # Words of the run are words: they ran nothing and made no element.
    assert page.js("document.querySelector('h1').textContent") == EVIL
    assert page.js(
        "[window.evil === undefined, document.images.length, document.querySelectorAll('pre')[0].textContent.includes('onerror')]"
    ) == [True, 0, True]


LABELS = (
    "[...document.querySelectorAll('#equity .yaxislayer-above .ytick text')]"
    ".map((label) => label.getBoundingClientRect()).map(({ top, bottom }) => [top, bottom]).sort((a, b) => a[0] - b[0])"
)


@pytest.mark.parametrize("decades", [0.2, 0.9, 1.1, 2, 2.2, 4.1, 5, 9.6, 40])
@pytest.mark.parametrize("size", SIZES)
def test_the_labels_of_a_log_axis_lie_apart(browser, pages, size, decades):
    page = Page(browser, pages / "a/report.html", size)
    page.to("#equity")
    page.browser.execute_script(
        "[...document.querySelectorAll('.tools button')].find((b) => b.innerText === 'Log').click()"
    )
    page.wait("document.querySelector('#equity')._fullLayout.yaxis.type === 'log'")
    page.browser.execute_script("Plotly.relayout('equity', {'yaxis.range': [4 - arguments[0], 4]})", decades)
    page.wait(f"document.querySelector('#equity')._fullLayout.yaxis.nticks === {6 if decades > 2 else 3}")
    boxes = page.js(LABELS)
    assert (3 if decades > 2 else 2) <= len(boxes) <= 14
    assert all(above[1] <= below[0] + 2 for above, below in pairwise(boxes)), boxes
    assert page.js("document.querySelector('#equity svg').getBoundingClientRect().right") <= size[0]


@pytest.mark.parametrize("size", SIZES)
def test_no_number_is_broken_and_all_of_them_fit(browser, pages, size):
    page = Page(browser, pages / "a/report.html", size)
    lines = page.js("[...document.querySelectorAll('#numbers td.n .whole')].map((e) => e.getClientRects().length)")
    assert len(lines) > 100
    assert set(lines) == {1}
    assert page.js("[...document.querySelectorAll('#numbers .scroll')].every((e) => e.scrollWidth <= e.clientWidth)")


def test_a_trade_of_the_table_is_shown_among_its_candles(browser, pages):
    page = Page(browser, pages / "a/report.html")
    row = page.wait("[...document.querySelectorAll('#trades tbody tr')].at(2)?.innerText.split('\\t')")
    page.browser.execute_script("document.querySelectorAll('#trades tbody button.show')[2].click()")
    said = page.wait("document.getElementById('said').textContent")
    number, pair, side = (word.strip() for word in row[:3])
    assert said.startswith(f"Trade {number}: {side} {pair}, ")
    page.wait("document.querySelector('#candles').layout.shapes.length === 1")
    shown = page.js("(() => { const p = document.querySelector('#candles'); const c = p.data.find((t) => t.type === 'candlestick');"
                    " return {range: p.layout.xaxis.range, x: c.x, low: Math.min(...c.low), high: Math.max(...c.high), shape: p.layout.shapes[0],"
                    " entry: p.data.find((t) => t.name === 'Entry, long')}; })()")  # fmt: skip
    begin, end = shown["range"]
    assert begin < shown["shape"]["x0"] < shown["shape"]["x1"] < end
    at = shown["entry"]["x"].index(shown["shape"]["x0"])
    assert shown["low"] <= shown["entry"]["y"][at] <= shown["high"]
    steps = {b - a for a, b in zip(shown["x"], shown["x"][1:], strict=False)}
    assert steps == {3_600_000}
    assert page.js("document.activeElement.id") == "candles"
    assert page.js("document.querySelectorAll('#trades tr.chosen').length") == 1
    assert page.complaints() == []


def test_the_chart_moves_by_buttons_keys_dates_and_pairs(browser, pages):
    page = Page(browser, pages / "a/report.html")
    page.to("#candles")

    def state():
        return page.js("document.querySelector('#market .state').textContent")

    def moved(act):
        before = state()
        act()
        page.wait(f"document.querySelector('#market .state').textContent !== {json.dumps(before)}")

    def key(name):
        event = "document.querySelector('#candles').dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))"
        page.browser.execute_script(event, name)

    for label in ("Zoom in", "Show the whole run", "Zoom in", "Zoom in", "Later", "Earlier", "Zoom out"):
        moved(lambda label=label: page.click(f"#market [aria-label='{label}']"))
    for name in ("+", "ArrowLeft", "n", "p"):
        moved(lambda name=name: key(name))
    page.browser.execute_script(
        "const [from, to] = document.querySelectorAll('#market input[type=date]');"
        "from.value = '2024-01-03'; to.value = '2024-01-04'; to.dispatchEvent(new Event('change'))"
    )
    page.wait("document.querySelector('#market .state').textContent.startsWith('2024-01-03 00:00 to 2024-01-05 00:00')")
    other = page.js("[...document.querySelector('#pair').options].findIndex((o) => !o.selected)")
    page.browser.execute_script(
        "const pair = document.querySelector('#pair'); pair.value = arguments[0]; pair.dispatchEvent(new Event('change'))",
        str(other),
    )
    page.wait(f"document.querySelector('#candles').data.find((t) => t.type === 'candlestick').name === facts_pair({other})"
              .replace("facts_pair", "((n) => JSON.parse(document.getElementById('facts').textContent).candles.pairs[n].pair)"))  # fmt: skip
    assert page.complaints() == []


def test_the_equity_has_a_range_a_scale_and_both_themes(browser, pages):
    page = Page(browser, pages / "a/report.html")
    page.to("#equity")
    whole = page.js("document.querySelector('#equity').layout.xaxis.range")
    page.click("#equity-section [aria-label='Show the last 30 days']")
    page.wait("document.getElementById('said').textContent === 'The last 30 days'")
    assert page.js("document.querySelector('#equity').layout.xaxis.range") != whole
    page.browser.execute_script(
        "[...document.querySelectorAll('#equity-section button')].find((b) => b.textContent === 'Log').click()"
    )
    page.wait("document.querySelector('#equity').layout.yaxis.type === 'log'")
    before = page.js(
        "[getComputedStyle(document.body).backgroundColor, document.querySelector('#equity').layout.font.color]"
    )
    page.click("#theme")
    page.wait(f"document.querySelector('#equity').layout.font.color !== {json.dumps(before[1])}")
    assert page.js("getComputedStyle(document.body).backgroundColor") != before[0]
    page.click("#theme")
    page.wait(f"document.querySelector('#equity').layout.font.color === {json.dumps(before[1])}")
    assert page.complaints() == []


def test_tables_sort_filter_and_group(browser, pages):
    page = Page(browser, pages / "a/report.html")
    page.wait("document.querySelectorAll('#trades tbody tr').length > 5")
    profits = "[...document.querySelectorAll('#trades table')[0].tBodies[0].rows].map((r) => Number(r.cells[3].textContent.replace('\\u2212', '-').replace(',', '')))"
    page.browser.execute_script(
        "[...document.querySelectorAll('#trades th button')].find((b) => b.textContent.startsWith('Result')).click()"
    )
    found = page.js(profits)
    assert found == sorted(found, reverse=True)
    assert page.js("document.querySelector('#trades th[aria-sort]').getAttribute('aria-sort')") == "descending"
    page.browser.execute_script(
        "const s = document.querySelector('[data-filter=outcome]'); s.value = 'lost'; s.dispatchEvent(new Event('change'))"
    )
    found = page.js(profits)
    assert found
    assert all(profit <= 0 for profit in found)
    page.browser.execute_script(
        "const s = document.querySelector('#group'); s.value = 'exit_reason'; s.dispatchEvent(new Event('change'))"
    )
    assert "stop_loss" in page.js("document.querySelectorAll('#trades table')[1].innerText")


def test_a_reader_without_eyes_finds_landmarks_labels_and_heads(browser, pages):
    page = Page(browser, pages / "a/report.html")
    page.wait("document.querySelectorAll('#trades tbody tr').length > 5")
    assert page.js("['main', 'header', 'nav', 'footer'].map((name) => document.querySelectorAll(name).length)") == [
        1,
        1,
        1,
        1,
    ]
    assert page.js("document.documentElement.lang") == "en"
    assert page.js(
        "[...document.querySelectorAll('section')].every((s) => document.getElementById(s.getAttribute('aria-labelledby')))"
    )
    assert page.js("[...document.querySelectorAll('table')].every((t) => t.querySelector('th[scope]'))")
    nameless = "[...document.querySelectorAll('button, select, input')].filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() && e.tagName === 'BUTTON' || e.closest('label')?.textContent.trim())).length"
    assert page.js(nameless) == 0
    assert page.js("[...document.querySelectorAll('.plot')].every((p) => p.getAttribute('aria-label').length > 20)")
    # The order of headings has no holes.
    assert page.js(
        "[...document.querySelectorAll('h1, h2, h3')].map((e) => Number(e.tagName[1])).every((n, i, all) => i === 0 ? n === 1 : n - all[i - 1] <= 1)"
    )


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_told_from_its_ground(browser, pages, dark):
    """WCAG 2 asks for a contrast of 4.5 to 1."""
    page = Page(browser, pages / "a/report.html", dark=dark)
    contrasts = page.js("""(() => {
        const rgb = (name) => { const probe = document.createElement('i'); probe.style.color = `var(--${name})`; document.body.append(probe);
          const found = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number); probe.remove(); return found; };
        const light = (name) => { const [r, g, b] = rgb(name).map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const found = {};
        for (const ground of ['ground', 'panel', 'raised']) for (const ink of ['ink', 'soft', 'accent', 'gain', 'loss']) {
          const [a, b] = [light(ground), light(ink)].sort((x, y) => y - x); found[`${ink} on ${ground}`] = (a + 0.05) / (b + 0.05); }
        for (const ground of ['bad-ground', 'care-ground']) { const [a, b] = [light(ground), light('ink')].sort((x, y) => y - x); found[`ink on ${ground}`] = (a + 0.05) / (b + 0.05); }
        return found; })()""")
    assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("size", SIZES)
def test_the_comparison_draws_all_runs(browser, pages, size):
    page = Page(browser, pages / "both.html", size)
    for chart in ("#equity", "#drawdown"):
        page.to(chart)
        assert page.js(f"document.querySelector('{chart}').data.length") == 2
    assert "strategy.slow" in page.js("document.querySelector('#keys').innerText")
    first = page.js("[...document.querySelectorAll('#summary tbody th')].map((cell) => cell.clientWidth)")
    assert min(first) >= 80
    assert page.js("document.documentElement.scrollWidth") <= size[0]
    assert page.complaints() == []
    assert page.requests() == [(pages / "both.html").as_uri()]
    assert page.js("window.evil === undefined && document.images.length === 0")


@pytest.mark.parametrize("size", SIZES)
def test_a_comparison_of_many_runs_scrolls_and_keeps_words_whole(browser, pages, size):
    names = "cdefgh"
    for name in names:
        shutil.copytree(pages / "b", pages / name, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(pages)
        assert main(["mode=report", f"mode.run=[a,b,{','.join(names)}]", "mode.out=many.html"]) == 0
    page = Page(browser, pages / "many.html", size)
    assert page.js("document.documentElement.scrollWidth") <= size[0]
    cells = "[...document.querySelectorAll('#summary tbody th')]"
    assert min(page.js(f"{cells}.map((cell) => cell.clientWidth)")) >= 80
    assert page.js(f"{cells}.every((cell) => cell.scrollWidth <= cell.clientWidth)")
    page.js("document.querySelector('#summary .scroll').scrollLeft = 200")
    left = "document.querySelector('#summary tbody th').getBoundingClientRect().left"
    assert page.js(f"{left} - document.querySelector('#summary .scroll').getBoundingClientRect().left") <= 1
    assert page.complaints() == []


def test_a_page_of_a_short_run_says_why_it_has_no_rolling_ratio(browser, pages):
    page = Page(browser, pages / "a/report.html")
    assert "There is none" in page.js("document.querySelector('#rolling-sharpe').innerText")


def test_a_print_has_every_chart_on_white_paper(browser, pages):
    page = Page(browser, pages / "a/report.html", dark=True)
    page.browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    for chart in CHARTS:
        page.wait(f"document.querySelector('{chart}').dataset.ready === 'yes'")
    assert page.js("document.documentElement.dataset.theme") == "light"
    page.browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert page.js("document.documentElement.dataset.theme") == "dark"
    assert page.complaints() == []
