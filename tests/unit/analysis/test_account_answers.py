"""The nodes that take notes stand in for every question that the engines ask of the ones inside."""

import pytest

from kraken_flow.analysis import account_answers
from kraken_flow.core.account import Execution, Portfolio, Risk


@pytest.mark.parametrize("base", [Portfolio, Risk, Execution], ids=lambda base: base.__name__)
def test_no_question_is_answered_by_the_base_class_in_place_of_the_node(base):
    asked = {name for name, value in vars(base).items() if callable(value) and not name.startswith("_")}
    taken = vars(getattr(account_answers, f"_{base.__name__}"))
    assert sorted(asked - set(taken)) == []
