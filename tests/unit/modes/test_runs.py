"""Mode `runs`: what it lists of real runs, what it refuses, and the page."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kraken_flow.runs import index
from tests.unit.modes.past_runs import DATA, SHIPPED
from tests.unit.runs.test_index import NUMBERS, run, sweep

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NASTY = "</script><img src=x onerror=alert(1)>{data}\"'&"


@pytest.fixture
def made(mine):
    """Three runs and a sweep."""
    assert mine(*SHIPPED) == 0, mine.err
    assert mine("mode=replay", *SHIPPED) == 0, mine.err
    assert mine(*DATA, "strategy=hold", "run_dir=runs/kept") == 0, mine.err
    assert mine("-m", *DATA, "strategy=sma_cross", "strategy.fast=4,6", "strategy.slow=12") == 0, mine.err
    return mine


def listed(mine, *words):
    assert mine("mode=runs", "mode.format=json", *words) == 0, mine.err
    return json.loads(mine.out)["runs"]


def test_the_list_says_what_the_runs_say(made):
    found = listed(made, "mode.members=true")
    assert len(found) == 6
    for row in found:
        if row["kind"] == "sweep":
            continue
        metrics = json.loads(Path(row["folder"], "metrics.json").read_text())
        for name in ("total_return", "sharpe", "max_drawdown", "trades", "order_log_sha256", "win_rate"):
            assert row[name] == metrics[name]
        manifest = json.loads(Path(row["folder"], "manifest.json").read_text())
        assert (row["strategy"], row["mode"]) == (manifest["strategy"], manifest["mode"])
        assert [row["first"], row["last"]] == manifest["span"]
        assert row["config_sha256"] == manifest["config_sha256"]
    assert [row["started"] for row in found] == sorted((row["started"] for row in found), reverse=True)
    assert made("mode=runs", "report=json") == 0
    assert json.loads(made.out)["total"] == 4


def test_an_audit_and_a_stress_test_have_span_and_market_too(mine):
    """One audit without a span stands for those of older versions: its data says it."""
    words = ("strategy=sma_cross", "pairs=[BTC/USD]", "end=2021-02-01", "timeframe=4h")
    assert mine("mode=audit", *words, "mode.rows=50", "mode.cuts=2", "mode.strategies=chosen") == 0, mine.err
    assert mine("mode=stress", *words, "risk=research", "mode.accept_liquidation=true") == 0, mine.err
    assert mine(*words, "run_dir=runs/plain") == 0, mine.err
    assert mine("mode=stress", "mode.run=runs/plain", "mode.accept_liquidation=true") == 0, mine.err
    (audit,) = (mine.folder / "runs/audit").rglob("manifest.json")
    old = json.loads(audit.read_text("utf-8"))
    bare = {name: value for name, value in old.items() if name not in ("span", "synthetic_sample")}
    (mine.folder / "runs/old").mkdir()
    (mine.folder / "runs/old/manifest.json").write_text(json.dumps(bare | {"strategy": "old"}), "utf-8")
    found = {(row["mode"], row["strategy"]): row for row in listed(mine)}
    assert {row["last"][:10] for row in found.values()} == {"2021-02-01"}
    assert found["audit", "old"]["first"] == "2021-01-01T00:00:00Z"
    for mode in ("audit", "stress"):
        assert found[mode, "sma_cross"]["synthetic"]
        assert found[mode, "sma_cross"]["last"] == found["backtest", "sma_cross"]["last"]


CASES = [
    (["mode.strategy=hold"], ["hold"]),
    (["mode.strategy=sma*", "mode.only=replay"], ["sma_cross"]),
    (["mode.only=sweep"], ["sma_cross"]),
    (["mode.pair=btc/usd", "mode.only=backtest"], ["sma_cross", "hold", "sma_cross"]),
    (["mode.pair=SOL/USD"], []),
    (["mode.status=failed"], []),
    (["mode.since=2999-01-01"], []),
    (["mode.until=2999-01-01", "mode.limit=1"], ["sma_cross"]),
    (["mode.where=strategy=h*"], ["hold"]),
    (["mode.where=strategy!=hold and kind=run and mode=replay"], ["sma_cross"]),
    (["mode.where=strategy!=ho* and kind=run and mode=replay"], ["sma_cross"]),
    (["mode.where=return>500%"], []),
    (["mode.where=synthetic=false and trades>=0", "mode.strategy=hold"], ["hold"]),
]


def test_what_is_asked_for_is_listed(made):
    for words, expected in CASES:
        assert [row["strategy"] for row in listed(made, *words)] == expected, words


@pytest.mark.parametrize("columns", ["80", None], ids=["said", "without a terminal"])
def test_the_list_fits_eighty_columns(made, monkeypatch, columns):
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
        monkeypatch.setattr(os, "get_terminal_size", no_terminal)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    assert made("mode=runs", "mode.sort=-return") == 0
    lines = made.out.splitlines()
    assert lines[0].split() == ["Strategy", "Mode", "Span", "Return", "Sharpe", "Drawdn", "Trades"]
    numbers = [line for line in lines if line and not line.startswith(" ")]
    assert max(map(len, numbers)) <= 80
    assert any(re.match(r"hold +backtest +2024-01-01\.\.2024-01-13 +[+-]\d+\.\d\d% ", line) for line in numbers)
    assert any("sweep 2" in line for line in numbers)
    assert lines[-1] == "4 runs"


def no_terminal(_):
    raise OSError


def test_names_cannot_steer_the_terminal(mine):
    run(mine.folder / "runs", "one", strategy="\x1b[2Jx\ny", status="failed", error="\x1b]0;title\x07")
    assert mine("mode=runs") == 0
    assert "\x1b" not in mine.out
    assert "\x07" not in mine.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["mode.sort=shrp"], "mode.sort=shrp: there is no column shrp; there are path, "),
        (["mode.where=sharpe"], "mode.where=sharpe: 'sharpe' is no condition"),
        (["mode.where=bogus>1"], "mode.where=bogus>1: there is no column bogus"),
        (["mode.where=sharpe>high"], "sharpe is a number, and high is none"),
        (["mode.since=yesterday"], "mode.since: 'yesterday' is not a time"),
        (["mode.status=ended"], "mode.status=ended: must be finished, failed"),
        (["mode.limit=0"], "mode.limit=0: must be"),
        (["mode.root=elsewhere"], "mode.root=elsewhere: there is no such folder"),
        (["strategy=hold"], "strategy=hold: leave that out"),
        (["mode.page=notes.txt"], "mode.page=notes.txt: a file is there that is no page of runs"),
        (["mode.page=runs"], "mode.page=runs: is a folder"),
        (["mode.page=ture"], "mode.page=ture: name a file that ends in .html, or true for index.html among the runs"),
        (
            ["mode.page=rusn/all.html"],
            "mode.page=rusn/all.html: there is no folder rusn; make it first; did you mean mode.page=runs/all.html?",
        ),
        (["mode.page=a/b/all.html"], "mode.page=a/b/all.html: there is no folder a/b; make it first\n"),
    ],
)
def test_what_is_refused(mine, words, told):
    run(mine.folder / "runs", "one")
    (mine.folder / "notes.txt").write_text("mine")
    before = sorted(path.name for path in mine.folder.iterdir())
    assert mine("mode=runs", *words) == 2
    assert told in mine.err
    assert (mine.folder / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in mine.folder.iterdir()) == before


def test_without_the_library_it_says_what_to_install(mine, monkeypatch):
    monkeypatch.setattr(index, "find_spec", lambda name: None)
    assert mine("mode=runs") == 2
    assert 'pip install --editable ".[index]"' in mine.err


class Seen(HTMLParser):
    """What a browser would make of a page: its elements, and the data inside."""

    def __init__(self):
        super().__init__()
        self.elements, self.data, self._in = [], "", None

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._in = dict(attrs).get("id")

    def handle_data(self, data):
        if self._in == "data":
            self.data += data
            self._in = None


def test_the_page_holds_every_run_as_data_and_nothing_of_them_as_markup(mine):
    root = mine.folder / "runs"
    run(root, "one", strategy=NASTY, error=NASTY)
    run(root, "quote'\" & <b>", strategy="plain")
    (root / "quote'\" & <b>" / "report.html").write_text("x")
    sweep(root, "many", [0.1, 0.2])
    assert mine("mode=runs", "mode.page=true", "mode.members=true") == 0, mine.err
    assert mine.out == "written: runs/index.html (5 runs)\n"
    seen = Seen()
    seen.feed((root / "index.html").read_text("utf-8"))
    assert [tag for tag, _ in seen.elements].count("script") == 2
    assert not any(tag in {"img", "link", "iframe"} or {"src", "onerror"} & set(attrs) for tag, attrs in seen.elements)
    content = json.loads(seen.data)
    rows = [dict(zip(content["columns"], row, strict=True)) for row in content["rows"]]
    assert {row["path"] for row in rows} == {"one", "quote'\" & <b>", "many", "many/0", "many/1"}
    assert next(row for row in rows if row["path"] == "one")["strategy"] == NASTY
    assert [row["report"] for row in rows if row["report"]] == ["./quote%27%22%20%26%20%3Cb%3E/report.html"]
    policy = next(attrs["content"] for tag, attrs in seen.elements if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ")
    assert mine("mode=runs", "mode.page=true") == 0  # a page of ours is replaced


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_and_sorts_the_runs(mine, tmp_path):
    root = mine.folder / "runs"
    for number in range(120):
        run(root, f"r{number:03d}", NUMBERS | {"sharpe": number / 10}, strategy=NASTY if number == 7 else "hold")
    page = mine.folder / "page.html"
    assert mine("mode=runs", f"mode.page={page}") == 0, mine.err
    clicks = """<script>addEventListener("error", (e) => { document.title = `error ${e.message}`; });</script>"""
    # The page's own policy keeps this script out, so the test speaks to it from the page around it.
    around = tmp_path / "around.html"
    around.write_text(
        f'{clicks}<iframe id="f" src="{page.as_uri()}" width="1000"></iframe><pre id="out"></pre><script>'
        "f.onload = () => { const d = f.contentDocument; const say = [];"
        "const rows = () => d.querySelectorAll('tbody tr');"
        "say.push(rows().length, d.querySelectorAll('img').length);"
        "d.querySelector('th[data-name=sharpe] button').click();"
        "say.push(rows()[0].querySelector('td.folder').textContent, d.querySelector('th[data-name=sharpe]').ariaSort);"
        "d.getElementById('text').value = 'onerror'; d.getElementById('text').dispatchEvent(new Event('input'));"
        "say.push(rows().length, d.getElementById('count').textContent);"
        "const before = d.documentElement.dataset.theme; d.getElementById('theme').click();"
        "say.push(before !== d.documentElement.dataset.theme);"
        "out.textContent = JSON.stringify(say); };</script>"
    )
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--allow-file-access-from-files", "--virtual-time-budget=5000"]
    command = [CHROMIUM, *flags, "--dump-dom", around.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - the browser
    said = json.loads(re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.S)[1])
    assert said == [100, 0, "r119", "descending", 1, "1 of 1 runs shown", True]
    assert "error" not in re.findall("<title>(.*?)</title>", done.stdout)
