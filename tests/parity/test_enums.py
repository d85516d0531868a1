"""The words of orders are the same in Rust and Python: names, codes, and which state may follow which."""

from enum import IntEnum

import pytest

from kraken_flow.core import limits, orders, parents, plan, recorder, watch
from kraken_flow.core.contract import FlowKind, MarginMode
from kraken_flow.core.orders import TRANSITIONS, State
from kraken_flow.core.terms import Slippage
from tests.engines import RUST, WITHOUT_RUST, native

pytestmark = pytest.mark.skipif(not RUST, reason=WITHOUT_RUST)

ENUMS: list[type[IntEnum]] = [
    orders.Side,
    orders.OrderType,
    orders.Tif,
    orders.State,
    orders.Reason,
    orders.Control,
    orders.Liquidity,
    orders.LogKind,
    orders.FillPath,
    Slippage,
    plan.Algo,
    plan.Remainder,
    MarginMode,
    FlowKind,
    limits.Safety,
    limits.Effect,
    limits.Trigger,
]


def test_every_enum_is_exported() -> None:
    assert set(native.engine_codes()) == {enum.__name__ for enum in ENUMS}


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.__name__)
def test_members_and_codes(enum: type[IntEnum]) -> None:
    assert native.engine_codes()[enum.__name__] == {member.name: int(member) for member in enum}


def test_the_transition_table() -> None:
    told = {State(state): frozenset(map(State, after)) for state, after in native.engine_transitions()}
    assert told == TRANSITIONS


def test_the_fields_of_the_columns() -> None:
    fields = {name: tuple(names) for name, names in native.engine_fields().items()}
    assert fields == {
        "orders": recorder._ORDER_FIELDS,
        "fills": recorder._FILL_FIELDS,
        "log": recorder._LOG_FIELDS,
        "parents": parents.PARENT_FIELDS,
        "children": parents.CHILD_FIELDS,
        "flows": recorder._FLOW_FIELDS,
        "risk": watch.INTEGERS + watch.FLOATS,
    }
