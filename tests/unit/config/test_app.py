import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from kraken_flow import __version__
from kraken_flow.config.paths import GROUPS, options
from kraken_flow.core.errors import CheckFailed
from kraken_flow.modes import Backtest

FAST = ("pairs=[BTC/USD]", "timeframe=1d", "end=2021-06-01")


def command(*words):
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "kraken_flow", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )


def test_help_is_a_manual_and_names_every_option(program):
    assert program("--help") == 0
    for group in GROUPS:
        assert f"  {group}: " in program.out
        for name in options(group):
            assert f"\n    {name} " in program.out
    assert "EXIT CODES" in program.out
    assert "strategy.fast=5,10,20" in program.out


def test_help_loads_no_library():
    code = (
        "import sys; from kraken_flow.app import main; main(['--help']);"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'pydantic', 'hydra', 'omegaconf', 'ccxt', 'sklearn', 'rich'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603 - our own program
    assert done.stderr.strip() == "[]"


def test_version(program):
    assert program("--version") == 0
    assert program.out == f"kraken-flow {__version__}\n"


def test_wrong_input_is_exit_2_with_every_problem_and_no_traceback(program):
    assert program("strategy=sma_cros", "strategy.fats=3", "exchnge=x", "risk.rearm=never", "seed=-1") == 2
    assert program.out == ""
    lines = program.err.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == [
        "strategy=sma_cros",
        "exchnge",
        "seed=-1",
        "risk.rearm",
    ]
    assert not list(program.folder.iterdir())


@pytest.mark.parametrize("flags", [(), ("-m",)])
def test_a_mode_has_to_be_chosen(program, flags):
    assert program("mode=null", *flags) == 2
    assert program.err == "error: mode: nothing is chosen; write mode=... (`mode=list` shows the options)\n"


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (CheckFailed("no"), 1, "error: no\n"),
        (
            ZeroDivisionError("by\nzero"),
            1,
            "error: unexpected ZeroDivisionError: by zero (LOG_LEVEL=DEBUG shows where)\n",
        ),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_a_failed_run_is_one_line(program, monkeypatch, error, code, says):
    monkeypatch.setattr(Backtest, "drive", Mock(side_effect=error))
    assert program() == code
    assert program.err == says
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    assert program() == code
    assert ("Traceback" in program.err) == (code == 1)


def test_an_unexpected_error_says_where_its_log_is(program, monkeypatch):
    error = RuntimeError("broken")
    error.add_note("see runs/x/run.log")
    monkeypatch.setattr(Backtest, "drive", Mock(side_effect=error))
    assert program() == 1
    assert program.err == "error: unexpected RuntimeError: broken (see runs/x/run.log)\n"


def test_a_run_leaves_one_folder_and_nothing_of_hydra(program):
    assert program(*FAST, "run_dir=out", "strategy.fast=5") == 0
    assert [path.name for path in program.folder.iterdir()] == ["out"]
    assert not list(program.folder.rglob(".hydra"))
    assert "fast: 5" in (program.folder / "out/config.yaml").read_text()


@pytest.mark.parametrize("flags", [["--config-dir", "mine", "-cn", "my"], ["-cd=mine", "--config-name=my"]])
def test_a_run_records_the_command_that_makes_it_again(program, flags):
    program.write("mine/my.yaml", "timeframe: 1d\npairs: btc\nend: 2021-06-01\n")
    words = ["hydra.verbose=false", "strategy.fast=5", "strategy=sma_cross"]
    assert program(*flags, *words, "run_dir=out") == 0
    (program.folder / "out").rename(program.folder / "first")
    command = json.loads((program.folder / "first/manifest.json").read_text())["command"]
    asked = command[-6:]
    assert asked == ["--config-dir=mine", "--config-name=my", *words, "run_dir=out"]
    assert (program.folder / "first/overrides.yaml").read_text() == "".join(f'- "{word}"\n' for word in asked)
    assert program(*asked) == 0
    for name in ("config.yaml", "orders.log", "overrides.yaml"):
        assert (program.folder / "out" / name).read_bytes() == (program.folder / "first" / name).read_bytes()


def test_a_sweep_and_its_members_record_their_commands(program):
    program.write("mine/my.yaml", "timeframe: 1d\npairs: btc\nend: 2021-06-01\n")
    flags = ["--config-dir=mine", "--config-name=my"]
    assert program("-m", *flags, "hydra/sweeper=basic", "strategy.fast=5,6", "run_dir=out") == 0
    command = {
        name: json.loads((program.folder / name / "manifest.json").read_text())["command"] for name in ("out", "out/1")
    }
    assert command["out"][-6:] == ["-m", *flags, "hydra/sweeper=basic", "strategy.fast=5,6", "run_dir=out"]
    assert command["out/1"][1:] == [*flags, "strategy.fast=6"]
    assert command["out/1"][0] == command["out"][0]


def test_the_command_of_the_module_is_written_as_it_is_typed(tmp_path):
    words = [*FAST, f"run_dir={tmp_path / 'out'}"]
    _, err = command(*words).communicate(timeout=60)
    assert err == ""
    made = json.loads((tmp_path / "out/manifest.json").read_text())
    assert made["command"] == ["python", "-m", "kraken_flow", *words]


def test_the_composed_configuration_is_printed_on_request(program):
    assert program("--cfg", "job", "strategy.fast=5") == 0
    assert "  fast: 5\n" in program.out
    assert not list(program.folder.iterdir())


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_130_and_one_line(tmp_path, sent):
    process = command("mode=backtest", "engine=python", f"run_dir={tmp_path / 'out'}")
    deadline = time.monotonic() + 60
    log = tmp_path / "out" / "run.log"
    while not (log.is_file() and log.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.strip().splitlines()[-1:]) == (130, ["interrupted"])
    assert json.loads((tmp_path / "out/manifest.json").read_text())["status"] == "interrupted"


def test_a_program_that_calls_us_keeps_its_own_ways_with_signals(program, monkeypatch):
    seen = []
    monkeypatch.setattr(Backtest, "drive", lambda self, call: seen.append(signal.getsignal(signal.SIGTERM)) or 0)
    before = signal.getsignal(signal.SIGTERM)
    try:
        signal.signal(signal.SIGTERM, print)
        program()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        program()
        assert seen == [print, signal.default_int_handler]
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_reader_that_has_gone_is_no_error():
    process = command("mode=list")
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_dotenv_fills_in_what_the_environment_lacks(program, monkeypatch):
    monkeypatch.setenv("KF_CASH", "50")
    monkeypatch.setenv("KF_FAST", "1")
    monkeypatch.delenv("KF_FAST")
    program.write(".env", "# mine\nexport KF_FAST='7' # seven\nKF_CASH=70\n\nKF_SIDE=both # or long\n")
    overrides = ("account.cash=${oc.env:KF_CASH}", "strategy.fast=${oc.env:KF_FAST}", "strategy.side=${oc.env:KF_SIDE}")
    assert program("--cfg=job", *overrides) == 0
    assert "cash: '50'" in program.out
    assert "fast: '7'" in program.out
    assert "side: both" in program.out
    program.write(".env", "good=1\nwhat is this\n")
    assert program("--cfg=job") == 2
    assert program.err == "error: .env, line 2: write NAME=value, one to a line\n"


def test_a_secret_is_not_printed(program, monkeypatch):
    monkeypatch.setenv("KF_API_KEY", "abcdef123456")
    assert program("account.cash=${oc.env:KF_API_KEY}") == 2
    assert program.err == "error: account.cash=<KF_API_KEY>: must be a number above 0\n"
    assert program("mode=describe", "exchange.name=${oc.env:KF_API_KEY}") == 0
    assert "abcdef" not in program.err + program.out + (program.folder / "graph.svg").read_text()
    assert program("--cfg=job", "risk.rearm=${oc.env:KF_API_KEY}") == 2
    assert "abcdef" not in program.err + program.out


def test_an_unknown_log_level_is_refused(program, monkeypatch):
    monkeypatch.setenv("LOG_LEVEL", "loud")
    assert program() == 2
    assert program.err == "error: LOG_LEVEL=LOUD: must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL\n"


MINE = """\
# My own crossing.
_target_: strategies.sma_cross.SmaCross
fast: 3
slow: 9
"""


def test_the_users_own_conf_comes_first(program, monkeypatch):
    program.write("conf/strategy/sma_cross.yaml", MINE)
    program.write("conf/pairs/mine.yaml", "names: [BTC/USD]\n")
    assert program("--cfg=job", "pairs=mine") == 0
    assert "  fast: 3\n" in program.out
    other = program.write("elsewhere/strategy/sma_cross.yaml", MINE.replace("3", "4")).parents[1]
    monkeypatch.setenv("KRAKEN_FLOW_CONF", f"{other}{os.pathsep}/nowhere")
    assert program("--cfg=job") == 0
    assert "  fast: 3\n" in program.out
    assert program("--cfg=job", "--config-dir", str(other)) == 0
    assert "  fast: 4\n" in program.out


@pytest.mark.parametrize(
    "text",
    [
        "strategy: sma_cross\npairs: [BTC/USD]\ntimeframe: 4h\naccount: {cash: 500}\n",
        "defaults:\n  - config\n  - override strategy: sma_cross\n  - override pairs: btc\n  - _self_\n"
        "timeframe: 4h\naccount: {cash: 500}\n",
        "defaults:\n  - strategy: sma_cross\n  - pairs: btc\ntimeframe: 4h\naccount: {cash: 500}\n",
        "strategy: {_target_: strategies.sma_cross.SmaCross}\npairs: btc\ntimeframe: 4h\naccount: {cash: 500}\n",
    ],
)
def test_everything_may_stand_in_one_file(program, text):
    program.write("my.yaml", text)
    assert program("--config-dir", ".", "--config-name", "my", "--cfg=job", "strategy.fast=4") == 0
    for line in ("cash: 500", "timeframe: 4h", "- BTC/USD", "fast: 4", "name: kraken"):
        assert line in program.out
    assert "ETH/USD\n" not in program.out.partition("pairs:")[2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a\n", "my.yaml: must be a mapping of keys"),
        ("timeframe: [1d\n", "a YAML file cannot be read: "),
        ("strategy: sma_cros\n", "strategy=sma_cros: no such option"),
        ("timefarme: 4h\n", "timefarme: no such key"),
        ("defaults: 3\n", "my.yaml: defaults must be a list"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(program, text, says):
    program.write("my.yaml", text)
    assert program("--config-dir=.", "--config-name=my") == 2
    assert says in program.err
    assert program("--config-dir=.", "--config-name=yours") == 2
    assert f"--config-name yours: there is no yours.yaml in {program.folder}" in program.err


def test_an_experiment_is_a_difference_that_arguments_still_beat(program):
    assert program("--cfg=job", "experiment=sma_btc_4h", "strategy.fast=25") == 0
    for line in ("fast: 25", "slow: 100", "timeframe: 4h", "stop_loss: 0.08", "LimitOrders"):
        assert line in program.out


def test_an_error_in_the_user_s_own_code_names_its_line(program):
    program.write("conf/strategy/mine.yaml", "_target_: strategies.mine_raises.Mine\n")
    program.write(
        "strategies/mine_raises.py",
        "from kraken_flow.core import Strategy, node\n\n\n@node\nclass Mine(Strategy):\n"
        '    def features(self):\n        return {"close": "close"}\n\n'
        "    def forecast(self, f):\n        return f.close.nothing * 0\n",
    )
    assert program("strategy=mine", "pairs=btc", "end=2021-02-01") == 2
    assert program.err == (
        "error: strategies/mine_raises.py, line 10: AttributeError: 'numpy.ndarray' object has no attribute 'nothing' "
        "(LOG_LEVEL=DEBUG shows the traceback)\n"
    )


def test_a_forecast_without_a_value_is_told(program):
    program.write("conf/strategy/mine.yaml", "_target_: strategies.mine_silent.Mine\n")
    program.write(
        "strategies/mine_silent.py",
        "from kraken_flow.core import Strategy, node\n\n\n@node\nclass Mine(Strategy):\n"
        "    def features(self):\n        return {}\n\n"
        "    def forecast(self, f):\n        1.0\n",
    )
    assert program("strategy=mine", "pairs=btc", "end=2021-02-01") == 2
    assert "Mine.forecast returned nothing" in program.err
