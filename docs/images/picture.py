"""Make docs/images/report.png: the report of a backtest on the sample market, as a real browser shows it.

`make picture` runs it. It needs Chromium with chromedriver, and selenium, which is in the locks for development.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from kraken_flow.app import main

PICTURE = Path(__file__).with_name("report.png")
RUN = ("strategy=donchian_breakout", "pairs=[BTC/USD,ETH/USD]", "timeframe=4h", "risk=research")
WIDTH, HEIGHT = 1280, 1000
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1")
TRADE = 22


def photographed(page: Path) -> bytes:
    """Return a PNG of a page: its first lines and, below, a trade among its candles."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={tempfile.mkdtemp()}", f"--window-size={WIDTH},{HEIGHT}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser.get(page.as_uri())
        shown = "return document.querySelectorAll('#trades button.show').length > arguments[0]"
        _until(lambda: browser.execute_script(shown, TRADE))
        browser.execute_script("document.querySelectorAll('#trades button.show')[arguments[0]].click()", TRADE)
        _until(lambda: browser.execute_script("return document.querySelector('#candles').layout?.shapes?.length"))
        size = {"width": WIDTH, "height": 2200, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.execute_script("document.activeElement.blur(); window.scrollTo({top: 0, behavior: 'instant'})")
        bottom = "return document.getElementById('trades').getBoundingClientRect().top"
        _until(lambda: browser.execute_script("return document.querySelector('#equity').dataset.ready === 'yes'"))
        time.sleep(1)  # what moves has come to rest
        size["height"] = int(browser.execute_script(bottom)) - 12
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.execute_script("window.scrollTo({top: 0, behavior: 'instant'})")
        time.sleep(1)
        png: bytes = browser.get_screenshot_as_png()
        return png
    finally:
        browser.quit()


def _until(true: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("the page does not show what the picture needs")
        time.sleep(0.1)


if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp()) / "run"
    if code := main(("mode=backtest", *RUN, f"run_dir={folder}")):
        sys.exit(code)
    PICTURE.write_bytes(photographed(folder / "report.html"))
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")
