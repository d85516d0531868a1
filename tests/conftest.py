"""What all tests share: Hypothesis profiles, the market data beside the checkout, and the rule about skips."""

import contextlib
import os
import signal
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips.txt")

# The test of a user's own strategy needs nothing but pytest, also beside ours.
with contextlib.suppress(ModuleNotFoundError):
    from hypothesis import HealthCheck, settings

    # The default draws the same examples in every run; KRAKEN_FLOW_HYPOTHESIS=explore looks for new ones.
    fixed = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("fixed", fixed)
    settings.register_profile("explore", fixed, derandomize=False, max_examples=1000, database=None)
    settings.load_profile(os.environ.get("KRAKEN_FLOW_HYPOTHESIS", "fixed"))

# A background job of a shell starts with interrupts ignored, and so would every program that a test starts from it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real market data beside the checkout; tests that need it skip where it is missing."""
    folder = Path(os.environ.get("KRAKEN_FLOW_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no market data at {folder}")
    return folder


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user guide as a site, built once for all workers of a run; a warning fails the build."""
    import fcntl

    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = folder.with_suffix(".part")
            config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(made), strict=True)
            config.plugins.on_startup(command="build", dirty=False)
            build(config)
            made.rename(folder)
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call() -> None:
    """Take the test's name out of the environment: a composition is kept for as long as the environment is the same."""
    os.environ.pop("PYTEST_CURRENT_TEST", None)


def allowed_skips() -> list[str]:
    """Patterns of the tests that may be skipped in CI, from ``allowed_skips.txt``."""
    lines = (line.split("#")[0].strip() for line in ALLOWED_SKIPS.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a CI run that skipped a test which the written list does not name."""
    if os.environ.get("CI") != "true" or hasattr(session.config, "workerinput"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = {report.nodeid for report in reporter.stats.get("skipped", [])}
    unlisted = sorted(nodeid for nodeid in skipped if not any(fnmatch(nodeid, p) for p in allowed_skips()))
    if unlisted:
        reporter.write_line("")
        for nodeid in unlisted:
            reporter.write_line(f"skipped, but not listed in tests/{ALLOWED_SKIPS.name}: {nodeid}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
