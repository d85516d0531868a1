"""The site builds without a warning, every key and feature is on it, and its pictures are those of the scenarios."""

import re
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from docs import draw_fills, hooks
from kraken_flow.config.paths import GROUPS, options

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    return folder


def test_a_link_or_a_page_that_is_missing_would_fail_the_build(site: Path):
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    written = {
        path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in (ROOT / "docs").rglob("*.md")
    }
    assert (written - {"README.html"}) | {"index.html", "CHANGELOG.html", "reference/api.html"} <= pages


def test_every_page_stands_in_the_navigation(site: Path):
    home = (site / "index.html").read_text("utf-8")
    linked = set(re.findall(r'<a href="([^"#]+)" class="md-nav__link', home))
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")} - {"404.html", "index.html"}
    assert sorted(pages - linked) == []


def test_no_page_asks_another_host_for_anything(site: Path):
    asked = re.compile(
        r'<(?:script|img|iframe|link rel="(?:stylesheet|preconnect|preload)")[^>]+(?:src|href)="(https?:[^"]+)'
    )
    found = [address for page in site.rglob("*.html") for address in asked.findall(page.read_text("utf-8"))]
    assert found == []


def test_every_option_stands_on_the_page_of_its_group():
    for group in GROUPS:
        page = hooks.group_page(group)
        assert [name for name in options(group) if f"{{ #{name} }}" not in page] == []


def test_the_reference_shows_what_an_option_sets_and_not_what_its_class_would():
    page = hooks.group_page("risk")
    conservative = page.split("## conservative")[1].split("\n## ")[0]
    assert "| `risk.position.stop_loss` | a number above 0 and at most 1 or null | `0.02` |" in conservative


def test_every_feature_is_listed():
    page = hooks.feature_page()
    assert len(hooks.feature_classes()) > 15
    assert [cls.__name__ for cls in hooks.feature_classes() if f"## {cls.__name__}\n" not in page] == []


@pytest.mark.parametrize("name", list(draw_fills.PICTURES))
def test_the_pictures_are_those_of_the_scenarios(name: str):
    """After a change of a scenario: `python -m docs.draw_fills`."""
    assert (ROOT / "docs" / "images" / f"{name}.svg").read_text("utf-8") == draw_fills.picture(name)
