from collections import Counter
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.runs.differences import (
    NO_LINE,
    beyond_rounding,
    by_source,
    first_difference,
    metric_changes,
    moved,
    version_changes,
)

LINES = st.lists(
    st.builds(
        "2024-01-0{}T00:00:00Z submit {} buy market {} gtc entry_signal".format,
        st.integers(1, 3),
        st.sampled_from(["BTC/USD", "ETH/USD"]),
        st.integers(1, 3),
    ),
    max_size=8,
)


def log(lines):
    return "".join(f"{line}\n" for line in lines)


@given(LINES, LINES)
def test_every_line_is_equal_changed_or_in_one_log_alone(a, b):
    found = moved(log(a), log(b))
    equal = Counter(a) & Counter(b)
    assert found.equal == equal.total()
    old, new = ([pair[side] for pair in found.changed] for side in (0, 1))
    assert Counter([*old, *found.only_a]) == Counter(a) - equal
    assert Counter([*new, *found.only_b]) == Counter(b) - equal
    for before, after in found.changed:
        assert before != after
        assert before.split()[:5] == after.split()[:5]
    subjects = ({tuple(line.split()[:5]) for line in lines} for lines in (found.only_a, found.only_b))
    assert set.intersection(*subjects) == set()


@given(LINES, LINES)
def test_the_first_difference_is_where_two_logs_part(a, b):
    found = first_difference(log(a), log(b))
    if a == b:
        assert found is None
        return
    before = found.line - 1
    assert a[:before] == b[:before]
    assert (found.before, found.now) == ((a[before:] or [NO_LINE])[0], (b[before:] or [NO_LINE])[0])
    assert found.before != found.now


def test_two_logs_that_differ_in_line_endings_alone_differ():
    assert first_difference("a\n", "a\r\n").line == 2


def test_metrics_differ_by_exact_decimals_and_time_does_not_count():
    before = {"fees": "0.1", "sharpe": None, "final_balances": {"USD": "1"}, "elapsed_s": 1.0, "ledger_sha256": "a"}
    now = {"fees": "0.3", "sharpe": 1.5, "final_balances": {"BTC": "2"}, "elapsed_s": 2.0, "ledger_sha256": "b"}
    found = {change.name: (change.before, change.now, change.by) for change in metric_changes(before, now)}
    assert found == {
        "fees": ("0.1", "0.3", Decimal("0.2")),
        "sharpe": (None, 1.5, None),
        "final_balances.USD": ("1", None, None),
        "final_balances.BTC": (None, "2", None),
    }


def test_the_last_digit_of_a_float_is_no_change_and_that_of_a_decimal_is():
    (last,) = metric_changes({"cagr": 0.1}, {"cagr": 0.1 + 1e-16})
    assert not beyond_rounding(last)
    assert all(map(beyond_rounding, metric_changes({"cagr": 0.1, "fees": "0.1"}, {"cagr": 0.2, "fees": "0.10"})))


def test_records_are_told_apart_by_role_and_pair_and_versions_by_name():
    records = [{"role": "bars", "pair": "A/B"}, {"role": "detail", "pair": "A/B"}, {"role": "strategy", "path": "x"}]
    assert list(by_source(records)) == [("bars", "A/B"), ("detail", "A/B"), ("strategy", "x")]
    told = version_changes({"numpy": "1", "rich": None}, {"numpy": "2", "rich": "3"})
    assert told == ["numpy was 1, is 2", "rich was not installed, is 3"]
