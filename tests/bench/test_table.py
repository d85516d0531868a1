"""The tables of docs/benchmarks.md: where we lose stands there, and times without equal results do not."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.bench.__main__ import suite
from tests.bench.clock import Contestant, Times, take_turns
from tests.bench.findings import Check, Difference, Finding, Section, against, show
from tests.bench.record import newest, save
from tests.bench.table import BEGIN, END, PAGE, put, rendered

TIMES = Times(
    {"ours": [1.0, 2.0, 4.0], "rival": [2.0, 2.0, 2.0]},
    {"ours": [1.0] * 3, "rival": [3.0] * 3},
    {"ours": 0, "rival": 0},
)
ABOUT = {"began": "20260101T000000Z", "bars": 10, "rounds": 3, "load_before": 0.5}


def record(folder: Path, *sections: Section) -> Path:
    path = folder / "20260101T000000Z.json"
    save(path, sections, ABOUT)
    return path


def test_a_rival_is_kept_with_the_range_of_the_rounds() -> None:
    found = against(TIMES, "rival", "it", label="Rival 1.0")
    assert found.sides is not None
    assert (found.value, found.sides.faster, found.sides.least, found.sides.most) == (1.0, 1.0, 0.5, 2.0)
    assert (found.sides.ours_s, found.sides.theirs, found.sides.busy) == (2.0, "Rival 1.0", 3.0)


def test_what_is_short_is_called_often_between_two_readings_of_the_clock() -> None:
    called: list[int] = []
    times = take_turns({"a": Contestant(lambda _: called.append(1), calls=50)}, rounds=2, warm=1)
    assert len(called) == 150
    assert len(times.seconds["a"]) == 2


def test_both_sides_and_the_losses_are_in_the_tables(tmp_path: Path) -> None:
    slow = against(Times({"ours": [4.0], "rival": [1.0]}, {"ours": [4.0], "rival": [1.0]}, {}), "rival", "lost")
    fast = against(Times({"ours": [1.0], "rival": [250.0]}, {"ours": [1.0], "rival": [250.0]}, {}), "rival", "won")
    why = Difference("stops", 1.0, 2.0, "another rule")
    path = record(tmp_path, Section("t", [Check("c", 1.0, 1.0)], [slow, fast, Finding("alone", 3.0, "s")], [why]))
    text = rendered(json.loads(path.read_text("utf-8")))
    lost = text.partition("### Where we lose")[2].partition("###")[0]
    assert "| lost | rival | 4x |\n" in lost
    assert "won" not in lost
    assert "| won | 1 s | rival | 250 s | 250x faster |" in text
    assert "| lost | 4 s | rival | 1 s | **4x slower** |" in text
    assert "| stops | 1 | 2 | another rule |" in text
    assert "| t | alone | 3 s |" in text
    assert text.count("| lost |") == 2
    assert "All 1 equalities held" in text
    assert "python" in text


def test_no_time_is_shown_or_kept_where_results_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    section = Section("t", [Check("final equity", 1.0, 2.0)], [Finding("a time", 3.0, "s")])
    show(Console(width=120), section)
    said = capsys.readouterr().out
    assert "DIFFERENT: final equity" in said
    assert "a time" not in said
    text = rendered(json.loads(record(tmp_path, section).read_text("utf-8")))
    assert "a time" not in text
    assert "Different: final equity." in text


def test_equality_and_other_rules_are_printed_before_times(capsys: pytest.CaptureFixture[str]) -> None:
    why = Difference("stops", 1.0, 2.0, "another rule")
    show(Console(width=120), Section("t", [Check("c", 1.0, 1.0)], [Finding("a time", 3.0, "s")], [why]))
    said = capsys.readouterr().out
    assert said.index("equal: c") < said.index("other rules: stops") < said.index("a time")


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n", "utf-8")
    put(record(tmp_path, Section("t", [], [Finding("alone", 3.0, "s")])), page)
    text = page.read_text("utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "alone" in text
    with pytest.raises(ValueError, match="missing"):
        put(newest(tmp_path) or tmp_path, record(tmp_path))


def test_the_page_has_its_marks_and_names_every_benchmark() -> None:
    text = PAGE.read_text("utf-8")
    assert text.index(BEGIN) < text.index(END)
    missing = [name for name in suite(100, 1) if f"| {name} |" not in text and f"`{name}`" not in text]
    assert missing == []


def test_the_newest_record_is_the_last_by_name(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    for name in ("20260102T000000Z.json", "20260101T000000Z.json"):
        (tmp_path / name).write_text("{}", "utf-8")
    assert newest(tmp_path) == tmp_path / "20260102T000000Z.json"
