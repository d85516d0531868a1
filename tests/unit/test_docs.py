import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "runs" / "README.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_index_lists_every_page():
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = [str(page.relative_to(ROOT / "docs")) for page in PAGES if ROOT / "docs" in page.parents]
    assert [page for page in pages if page != "README.md" and f"({page})" not in index] == []


def test_no_run_that_a_page_names_lies_where_the_runs_of_a_mode_do():
    """There runs without a `run_dir` have their folders, that of `make demo` too, and the command would be refused."""
    named = re.compile(r"\b(?:run_dir|mode\.(?:run|a|b))=\[?runs/(\w+)")
    modes = {path.stem for path in (ROOT / "conf" / "mode").glob("*.yaml")} | {"audits", "bench"}
    found = {page.name: set(named.findall(page.read_text("utf-8"))) for page in PAGES}
    assert len(set().union(*found.values())) > 10
    assert {name: taken & modes for name, taken in found.items() if taken & modes} == {}


def test_decision_records_are_numbered_without_gaps():
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "install.md"])
def test_every_make_target_that_is_named_exists(page: Path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert set(re.findall(r"\bmake ([a-z-]+)`? ", page.read_text("utf-8"))) <= targets
