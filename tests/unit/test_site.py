"""The site builds without a warning, every key and feature is on it, and its pictures are those of the scenarios."""

import re
from pathlib import Path

import pytest

from docs import draw_fills, hooks
from kraken_flow.config.paths import GROUPS, options

ROOT = Path(__file__).parents[2]


def test_a_link_or_a_page_that_is_missing_would_fail_the_build(site: Path):
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    written = {
        path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in (ROOT / "docs").rglob("*.md")
    }
    assert (written - {"README.html"}) | {"index.html", "CHANGELOG.html", "reference/api.html"} <= pages


def test_every_page_stands_in_the_navigation(site: Path):
    home = (site / "index.html").read_text("utf-8")
    linked = set(re.findall(r'<a href="([^"#]+)" class="md-nav__link', home))
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")} - {"index.html"}
    assert sorted(pages - linked) == []


def test_no_page_asks_another_host_for_anything(site: Path):
    asked = re.compile(
        r'<(?:script|img|iframe|link rel="(?:stylesheet|preconnect|preload)")[^>]+(?:src|href)="(https?:[^"]+)'
    )
    found = [address for page in site.rglob("*.html") for address in asked.findall(page.read_text("utf-8"))]
    assert found == []


def test_every_path_on_a_page_is_relative_so_that_the_site_may_lie_anywhere(site: Path):
    rooted = re.compile(r'(?:src|href)="(/[^"]*)"')
    found = {page.name: rooted.findall(page.read_text("utf-8")) for page in site.rglob("*.html")}
    assert {name: paths for name, paths in found.items() if paths} == {}


def test_every_option_stands_on_the_page_of_its_group():
    for group in GROUPS:
        page = hooks.group_page(group)
        assert [name for name in options(group) if f"{{ #{name} }}" not in page] == []


def test_the_reference_shows_what_an_option_sets_and_not_what_its_class_would():
    page = hooks.group_page("risk")
    conservative = page.split("## conservative")[1].split("\n## ")[0]
    assert "| `risk.position.stop_loss` | a number above 0 and at most 1 or null | `0.02` |" in conservative


def test_every_key_says_what_it_means():
    """Fields that a class has from another one too."""
    rows = [line for group in ("exchange", "execution") for line in hooks.group_page(group).splitlines()]
    rows += hooks.feature_page().splitlines()
    assert len(rows) > 100
    assert [row for row in rows if row.startswith("| `") and row.endswith("|  |")] == []


def test_an_option_shows_what_it_sets_and_the_page_shows_each_class_once():
    page = hooks.group_page("risk")
    assert page.count("`risk.position.trailing`") == 1
    assert "The keys of [`risk=default`](#default), with other defaults:" in page.split("## research")[1]
    assert "(#default) | Three tiers" in page
    assert "The default. |" in page
    binance = hooks.group_page("exchange").split("## binance {")[1].split("## ")[0]
    assert re.findall(r"\| `exchange\.(\S+)` \|", binance) == ["name", "fees.tiers", "instruments_table"]


def test_a_key_without_a_default_says_that_it_must_be_given():
    assert "| `strategy.path` | text | must be given |" in hooks.group_page("strategy")
    assert [group for group in GROUPS if options(group) and "| `???` |" in hooks.group_page(group)] == []


def test_the_api_shows_each_parameter_with_its_own_default(site: Path):
    page = (site / "reference/api.html").read_text("utf-8")
    table = page[page.index('id="kraken_flow.risk.answer.answer"') :].split("</table>")[0]
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr.*?</tr>", table, re.S)]
    found = {row[0]: row[-1] for row in rows}
    assert found | {"cash": "required", "limit_price": "0.0", "reduce_only": "False"} == found


def test_tables_commands_and_code_can_be_read_on_a_phone():
    html = hooks.on_page_content(
        "<table><thead><tr><th>key</th><th>is</th></tr></thead><tbody><tr><td>a</td><td>b</td></tr></tbody></table>"
        '<div class="highlight"><pre><span></span><code>python -m kraken_flow mode=list\n</code></pre></div>'
        '<div class="highlight"><pre><span></span><code>KRAKEN_FLOW_KILLS=50 python -m pytest\n</code></pre></div>'
        '<div class="highlight"><pre><span></span><code>python -m kraken_flow mode=list\nA TABLE\n</code></pre></div>'
    )
    assert '<td role="cell" data-label="is">b' in html
    assert html.count("kf-commands") == 2
    assert (
        hooks.PYTHON.sub("", "a\n\n    import x\n\n    y = 1\n\nb\n\n    make demo\n") == "a\n\n\nb\n\n    make demo\n"
    )


def test_every_feature_is_listed():
    page = hooks.feature_page()
    assert len(hooks.feature_classes()) > 15
    assert [cls.__name__ for cls in hooks.feature_classes() if f"## {cls.__name__}\n" not in page] == []


@pytest.mark.parametrize("name", list(draw_fills.PICTURES))
def test_the_pictures_are_those_of_the_scenarios(name: str):
    """After a change of a scenario: `python -m docs.draw_fills`."""
    assert (ROOT / "docs" / "images" / f"{name}.svg").read_text("utf-8") == draw_fills.picture(name)
