import errno
import json
import logging
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import pytest

from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.hashes import file_hash
from kraken_flow.runs import record
from kraken_flow.runs.record import Declared, recorded
from kraken_flow.runs.sources import git_commit, loaded_sources
from kraken_flow.runs.tables import Tables
from kraken_flow.runs.write import write_run
from tests.hand_made import s01

CONFIG = "strategy: a\n"


def declared(folder=None, root=None):
    more = {} if root is None else {"root": root}
    return Declared("backtest", "sma_cross", CONFIG, ["strategy=sma_cross", 'x="a: b"'], folder, **more)


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_a_run_leaves_what_made_it(tmp_path):
    with recorded(declared(tmp_path / "run")) as run:
        assert manifest(run.folder)["status"] == "running"
        metrics = write_run(run.folder, Tables(s01(), "sma_cross"))
    made = manifest(run.folder)
    assert made["status"] == "finished"
    assert made["config_sha256"] == sha256(CONFIG.encode()).hexdigest() == file_hash(run.folder / "config.yaml")
    assert made["sources"]["kraken_flow.runs.record"] == file_hash(Path(record.__file__))
    assert made["versions"]["python"]
    assert json.loads((run.folder / "metrics.json").read_text()) == metrics
    assert (run.folder / "overrides.yaml").read_text() == '- "strategy=sma_cross"\n- "x=\\"a: b\\""\n'
    assert file_hash(run.folder / "orders.log") == metrics["order_log_sha256"]
    assert file_hash(run.folder / "ledger.log") == metrics["ledger_sha256"]
    written = "config.yaml equity.parquet fills.parquet ledger.log manifest.json metrics.json orders.log orders.parquet"
    expected = {*written.split(), "overrides.yaml", "run.log", "trades.parquet", "risk.parquet"}
    assert {p.name for p in run.folder.iterdir()} == expected


def test_a_failed_run_says_so(tmp_path):
    with pytest.raises(UserError), recorded(declared(tmp_path / "run")):
        raise UserError("row 3 is bad")
    made = manifest(tmp_path / "run")
    assert (made["status"], made["error"]) == ("failed", {"type": "UserError", "message": "row 3 is bad"})


def test_an_interrupted_run_says_so(tmp_path):
    with pytest.raises(KeyboardInterrupt), recorded(declared(tmp_path / "run")):
        raise KeyboardInterrupt
    assert manifest(tmp_path / "run")["status"] == "interrupted"


@pytest.mark.parametrize("status", [None, RuntimeError, KeyboardInterrupt])
def test_a_folder_of_ours_is_used_again_however_its_run_ended(tmp_path, status):
    try:
        with recorded(declared(tmp_path / "run")):
            if status:
                raise status
    except (RuntimeError, KeyboardInterrupt):
        pass
    with recorded(declared(tmp_path / "run")):
        pass
    assert manifest(tmp_path / "run")["status"] == "finished"


def test_runs_without_a_folder_go_under_the_root(tmp_path):
    with recorded(declared(root=tmp_path)) as run:
        pass
    assert run.folder.parent == tmp_path / "backtest" / "sma_cross"
    assert (tmp_path / "latest").resolve() == run.folder.resolve()


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt])
def test_a_run_that_does_not_finish_is_not_the_latest(tmp_path, stop):
    with recorded(declared(root=tmp_path)) as run:
        assert not (tmp_path / "latest").exists()
    with pytest.raises(stop), recorded(declared(root=tmp_path)) as other:
        raise stop
    assert manifest(other.folder)["status"] in {"failed", "interrupted"}
    assert (tmp_path / "latest").resolve() == run.folder.resolve()


def test_a_session_is_the_latest_from_its_beginning(tmp_path):
    asked = Declared("paper", "hold", CONFIG, [], tmp_path / "mine", tmp_path, lambda folder: None)
    with recorded(asked) as run:
        assert (tmp_path / "latest").resolve() == run.folder.resolve()
        with recorded(declared(root=tmp_path)) as other:
            pass
    assert (tmp_path / "latest").resolve() == other.folder.resolve()


def test_the_log_is_json_lines_of_the_level(tmp_path, monkeypatch):
    monkeypatch.setenv("LOG_LEVEL", "INFO")
    log = logging.getLogger("kraken_flow.somewhere")
    with recorded(declared(tmp_path / "run")):
        log.info("seen %d", 1, extra={"data": {"rows": 3}})
        log.debug("unseen")
    log.info("after the run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "run.log").read_text().splitlines()]
    assert lines[-1]["message"] == "seen 1"
    assert lines[-1]["data"] == {"rows": 3}
    assert {"unseen", "after the run"}.isdisjoint(line["message"] for line in lines)


def test_a_log_level_that_shows_more(tmp_path, monkeypatch):
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    with recorded(declared(tmp_path / "run")):
        logging.getLogger("kraken_flow").debug("seen")
    assert "seen" in (tmp_path / "run" / "run.log").read_text()


def test_sources_name_modules_of_ours_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {name.partition(".")[0] for name in loaded_sources()}
    assert "kraken_flow" in names
    assert names <= {"kraken_flow", "strategies", "hydra_plugins", "kraken_flow_native"}


def test_a_commit_is_read_from_git(tmp_path):
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert git_commit(tmp_path) is None
    (git / "packed-refs").write_text("# pack-refs\nabc123 refs/heads/main\n")
    assert git_commit(tmp_path / "deep" / "folder") == "abc123"
    (git / "refs" / "heads" / "main").write_text("def456\n")
    assert git_commit(tmp_path) == "def456"
    (git / "HEAD").write_text("fed789\n")
    assert git_commit(tmp_path) == "fed789"


def test_an_error_of_reading_is_not_blamed_on_the_run_s_folder(tmp_path):
    with pytest.raises(PermissionError), recorded(declared(tmp_path / "run")):
        raise PermissionError(13, "denied", "candles.csv")
    assert manifest(tmp_path / "run")["error"]["type"] == "PermissionError"


def test_a_log_that_cannot_be_written_does_not_stop_a_run(tmp_path, capsys):
    with recorded(declared(tmp_path / "run")):
        handler = logging.getLogger("kraken_flow").handlers[-1]
        handler.stream.close()
        handler.stream = open("/dev/full", "w")  # noqa: PTH123, SIM115 - the device that is always full
        logging.getLogger("kraken_flow").warning("lost")
    assert manifest(tmp_path / "run")["status"] == "finished"
    assert capsys.readouterr().err == ""


def test_a_run_that_filled_the_disk_says_failed_where_its_manifest_was(tmp_path, monkeypatch):
    def full(path, data):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    def fill_the_disk():
        with recorded(declared(tmp_path / "run")) as run:
            monkeypatch.setattr(Path, "write_bytes", full)
            run.save()

    with pytest.raises(CheckFailed):
        fill_the_disk()
    left = manifest(tmp_path / "run")
    assert (left["status"], left["error"]["type"]) == ("failed", "CheckFailed")
    assert not list((tmp_path / "run").glob(".*"))
    monkeypatch.undo()
    with recorded(declared(tmp_path / "run")):
        pass
    assert manifest(tmp_path / "run")["status"] == "finished"


def test_a_disk_that_is_full_before_the_run_begins_is_a_failed_run(tmp_path, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, "full", str(path))

    monkeypatch.setattr(record, "run_log", full)
    with pytest.raises(CheckFailed, match="disk is full"), recorded(declared(tmp_path / "run")):
        raise AssertionError("the run began")
    assert manifest(tmp_path / "run")["status"] == "failed"


def test_no_file_of_a_run_holds_a_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "abcdef123456")
    asked = Declared("backtest", "sma_cross", CONFIG, ["data.path=abcdef123456"], tmp_path / "run")

    def run() -> None:
        with recorded(asked):
            logging.getLogger("kraken_flow").warning("read %s", "abcdef123456")
            raise RuntimeError("abcdef123456")

    with pytest.raises(RuntimeError):
        run()
    for path in (tmp_path / "run").iterdir():
        assert "abcdef" not in path.read_text(), path
    assert manifest(tmp_path / "run")["error"]["message"].endswith(": RuntimeError: <MY_API_KEY>")


def test_a_module_that_a_strategy_imports_is_a_source(tmp_path, monkeypatch):
    (tmp_path / "levels_of_mine.py").write_text("LEVEL = 1")
    monkeypatch.syspath_prepend(tmp_path)
    import_module("levels_of_mine")
    assert "levels_of_mine" not in loaded_sources()
    monkeypatch.chdir(tmp_path)
    assert loaded_sources()["levels_of_mine"] == file_hash(tmp_path / "levels_of_mine.py")
    assert not {"numpy", "pydantic"} & set(loaded_sources())
