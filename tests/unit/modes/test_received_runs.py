"""A run's folder that somebody sent brings no code that is loaded unasked."""

import json
import shutil

import pytest

from kraken_flow.runs.directory import write_json
from kraken_flow.runs.past import PastRun
from tests.unit.modes.past_runs import DATA, SHIPPED, edit, fresh

GIFT = "from pathlib import Path\nPath({!r}).touch()\nfrom strategies.hold import Hold\n"


@pytest.fixture
def received(mine):
    """A run in `received/`, with a strategy inside that leaves `opened` behind when it is loaded."""
    assert mine(*SHIPPED, "run_dir=received") == 0
    folder = mine.folder / "received"
    (folder / "strategies").mkdir()
    (folder / "strategies/gift.py").write_text(GIFT.format(str(mine.folder / "opened")))
    edit(folder / "config.yaml", "strategies.sma_cross.SmaCross\n  fast: 4\n  slow: 12\n", "strategies.gift.Hold\n")
    return folder


def named(folder, place):
    """Let the manifest say that the run was made at a place, with the gift among its sources."""
    content = json.loads((folder / "manifest.json").read_text())
    sources = {**content["sources"], "strategies.gift": "0" * 64}
    write_json(folder / "manifest.json", content | {"working_directory": place, "sources": sources})


@pytest.mark.parametrize("place", ["received", "{0}", "{0}/strategies/..", "{0}/../received", "{1}/link"])
def test_code_inside_the_runs_folder_is_not_loaded(mine, received, tmp_path, place):
    (tmp_path / "link").symlink_to(received, target_is_directory=True)
    named(received, place.format(received, tmp_path))
    _, err = fresh(mine.folder, "mode=verify", "mode.run=received", code=1)
    assert "error: source: strategies.gift is gone" in err
    assert "error: it cannot be made again: " in err
    assert not (mine.folder / "opened").exists()


def test_nor_is_it_where_the_user_stands_inside(mine, received):
    named(received, str(mine.folder))
    fresh(received, "mode=verify", "mode.run=.", code=1)
    named(received, str(received))
    _, err = fresh(received, "mode=verify", "mode.run=.", code=2)
    assert "its folder is the working directory; call that from outside of it" in err
    assert not (mine.folder / "opened").exists()


def test_a_changed_module_of_another_place_is_named_and_not_loaded(mine, received, tmp_path):
    far = tmp_path / "far"
    for folder in (received / "strategies", mine.folder / "candles"):
        shutil.copytree(folder, far / folder.name)
    named(received, str(far))
    _, err = fresh(mine.folder, "mode=verify", "mode.run=received", code=1)
    assert f"error: source: strategies.gift changed: {far / 'strategies/gift.py'}" in err
    assert "is not the strategies.gift that ran, and not in the working directory" in err
    assert not (mine.folder / "opened").exists()


def test_an_edited_strategy_is_run_where_the_user_stands_and_only_there(mine, tmp_path):
    fresh(mine.folder, *DATA, "strategy=mine", "run_dir=out")
    edit(mine.folder / "strategies/mine.py", "f.fast <= f.slow, 0.0", "f.fast <= f.slow, 0.5")
    told = "orders.log: the first order that differs is line "
    assert told in fresh(mine.folder, "mode=verify", "mode.run=out", code=1)[1]
    _, err = fresh(tmp_path, "mode=verify", "mode.run=home/out", code=1)
    assert "source: strategies.mine changed: " in err
    assert "is not the strategies.mine that ran" in err
    assert told not in err


def test_where_a_run_was_made_is_a_home_unless_its_folder_holds_it(mine, received):
    def homes(place):
        named(received, place)
        return PastRun.at("mode.run", "received").homes()

    assert homes(str(mine.folder.parent)) == [mine.folder, mine.folder.parent]
    for place in (str(mine.folder), "candles", "..", str(received / "strategies"), str(mine.folder / "gone")):
        assert homes(place) == [mine.folder]
