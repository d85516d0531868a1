"""The page over all runs in a real browser: nothing of a row is cut, from a phone to a wide screen."""

import pytest

from kraken_flow.runs.browser import write_page
from kraken_flow.runs.index_table import COLUMNS
from tests.browser.conftest import resized

RUN = dict.fromkeys(COLUMNS) | {
    "kind": "run",
    "status": "finished",
    "pairs": "ADA/USD, BTC/USD, DOGE/USD, ETH/USD, LINK/USD, LTC/USD, SOL/USD, XRP/USD",
    "timeframe": "1h",
    "first": "2021-01-01T00:00:00Z",
    "last": "2023-01-01T00:00:00Z",
    "started": "2026-11-21T16:30:24.390714+00:00",
    "total_return": 0.592733,
    "sharpe": -2.981,
    "max_drawdown": -0.4319,
    "trades": 5024,
    "order_log_sha256": "8fe7dc8b" * 8,
    "synthetic": True,
    "report": None,
}
PATHS = ("backtest/donchian_breakout/20261121T163024.390714Z-e837e7fe", "my_long_session_name/and_more_words_2026")
CUT = """
const seen = (e) => e.getBoundingClientRect(), frame = seen(document.querySelector('.frame'));
const heads = seen(document.querySelector('thead')).height > 1 ? ', thead th' : '';
const boxes = [...document.querySelectorAll(`tbody td, tbody a, tbody code${heads}`)];
return {
  page: document.documentElement.scrollWidth,
  cut: boxes.map(seen).filter((box) => box.width > 1 && (box.right > frame.right + 1 || box.left < frame.left - 1)).length,
  links: document.querySelectorAll('tbody a').length,
  broken: [...document.querySelectorAll('td.when span')].filter((word) => word.getClientRects().length > 1).length,
};
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of runs with long names, of every mode and state that takes the most room."""
    root = tmp_path_factory.mktemp("runs")
    modes = ("backtest", "paper", "audit", "stress")
    rows = [
        RUN
        | {
            "path": f"{path}/{mode}",
            "strategy": "donchian_breakout",
            "mode": mode,
            "report": str(root / path / "report.html"),
        }
        for path in PATHS
        for mode in modes
    ]
    rows.append(RUN | {"path": "many", "strategy": "x" * 60, "mode": "backtest", "kind": "sweep", "members": 120})
    rows.append(RUN | {"path": "cut", "strategy": "combined", "mode": "replay", "status": "interrupted"})
    rows[2] |= {"verdict": "passed"}
    write_page(root / "index.html", root, rows)
    return root / "index.html"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 768, 1001, 1024, 1201, 1280, 1366, 1440, 1600, 1920])
def test_no_column_is_cut(browser, page, width, dark):
    resized(browser, (width, 900))
    theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": theme})
    browser.get(page.as_uri())
    assert browser.execute_script(CUT) == {"page": width, "cut": 0, "links": 8, "broken": 0}
    browser.execute_script("document.querySelector('th[data-name=max_drawdown] button').click()")
    assert browser.execute_script(CUT)["cut"] == 0
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
