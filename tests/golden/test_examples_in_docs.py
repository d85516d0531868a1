"""The examples of docs/fills.md are fills of the scenarios, which the engines reproduce."""

import re
from pathlib import Path

from tests.golden.scenarios import SCENARIOS

PAGE = Path(__file__).parents[2] / "docs" / "fills.md"


def test_every_example_is_a_fill_of_its_scenario() -> None:
    fills = {(scenario.name, fill) for scenario in SCENARIOS for fill in scenario.fills}
    examples = re.findall(r"^    (S\S+) (.+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(examples) > 15
    assert [example for example in examples if example not in fills] == []
