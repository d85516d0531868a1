"""What a stream counted is a fold of the journal: a session that is killed and goes on tells the sum."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kraken_flow.config import build, compose
from kraken_flow.core.session import Session
from kraken_flow.core.source import Happened
from kraken_flow.core.tape import Instant, Tape
from kraken_flow.core.times import SECOND
from kraken_flow.runs.session_journal import JournalledSession

PAIRS = ("BTC/USD", "ETH/USD")
HOUR = 3600 * SECOND
GRAPH = build(compose(["strategy=hold", f"pairs=[{','.join(PAIRS)}]", "timeframe=1h", "exchange=bare"]))
TAPE = Tape(PAIRS, HOUR, first=0, first_row=2, decimals=dict.fromkeys(PAIRS, 2))
BAR = (10**10, 10**10, 10**10, 10**10, 10**8)
COUNTS = st.dictionaries(
    st.sampled_from(PAIRS),
    st.dictionaries(st.sampled_from(("late", "duplicates", "connections_lost")), st.integers(1, 5), min_size=1),
)
SEEN = st.tuples(st.tuples(*[st.sampled_from([BAR, None])] * 2), st.booleans(), COUNTS)


def pairs_of(happened: Happened) -> dict[str, dict[str, int]]:
    return {pair: {name: n for name, n in counted.items() if n} for pair, counted in happened.pairs.items()}


@settings(max_examples=25)
@given(st.lists(SEEN, min_size=1, max_size=8), st.sets(st.integers(0, 8)), COUNTS)
def test_counts_outlast_every_kill(tmp_path_factory, seen, kills, last):
    folder = tmp_path_factory.mktemp("session")
    journalled = JournalledSession(Session(GRAPH, TAPE), folder)
    for row, (bars, missed, counts) in enumerate(seen):
        if row in kills:
            journalled.journal._file.close()  # as a kill leaves it
            journalled = JournalledSession(Session(GRAPH, TAPE), folder)
            assert journalled.recovered == row
        journalled.take(Instant(row * HOUR, bars, missed=missed and row >= 2), counts)
    journalled.end(last)
    journalled.close()
    again = JournalledSession(Session(GRAPH, TAPE), folder)
    again.close()
    for happened in (journalled.happened, again.happened):
        assert happened.missed == sum(missed for _, missed, _ in seen[2:])
        for p, pair in enumerate(PAIRS):
            told = pairs_of(happened)[pair]
            assert told.get("bars", 0) == sum(bars[p] is not None for bars, _, _ in seen[2:])
            assert told.get("missing", 0) == sum(bars[p] is None for bars, _, _ in seen[2:])
            for name in ("late", "duplicates", "connections_lost"):
                given_ = [counts.get(pair, {}).get(name, 0) for counts in (*(c for _, _, c in seen), last)]
                assert told.get(name, 0) == sum(given_)
