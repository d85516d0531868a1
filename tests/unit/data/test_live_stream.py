"""What a live session is told, and when: exact, on a made-up venue and a virtual clock."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraken_flow.core.tape import Instant
from kraken_flow.core.times import SECOND
from kraken_flow.data.live_stream import backoff
from kraken_flow.data.trade_bars import Trade
from kraken_flow.data.venue import Candle, Lost
from tests.unit.data.made_up_venue import MINUTE, T0, MadeUpVenue, Played, Sent, bar, plan, played

PAIRS = ("A/USD", "B/USD")
START = 10
"""The session begins 7 s into minute 10, when minute 9 is known: the first decision is that of minute 10."""


def calm(rows: int, **terms) -> Played:
    return played(lambda clock: MadeUpVenue(clock, plan(terms.get("pairs", ("A/USD",)), range(60))), rows, **terms)


def of(i: int, n: int = 1) -> tuple:
    return (bar(i),) * n


def counted(done: Played, name: str) -> list[int]:
    return [counts[name] for counts in done.stream.facts(done.happened)["stream"]["pairs"].values()]


@pytest.mark.parametrize("pairs", [("A/USD",), PAIRS])
def test_every_bar_is_known_when_it_has_closed_and_the_delay_is_over(pairs):
    done = calm(5, pairs=pairs)
    assert done.bars == [of(i, len(pairs)) for i in range(START - 3, START + 5)]
    assert [at for at, _ in done.instants[3:]] == [T0 + (i + 1) * MINUTE + 2 * SECOND for i in range(10, 15)]
    assert not any(instant.missed for _, instant in done.instants)
    assert done.stream.notes(done.happened) == ()
    assert done.stream.tape.start == T0 + START * MINUTE
    assert done.venue.closed


def test_a_bar_that_is_due_but_not_known_yet_is_the_first_decision():
    done = calm(1, began=T0 + 10 * MINUTE + SECOND)
    assert done.stream.tape.start == T0 + 9 * MINUTE
    assert done.instants[-1] == (T0 + 10 * MINUTE + 2 * SECOND, Instant(T0 + 9 * MINUTE, of(9)))


def test_warm_up_is_exactly_the_look_back_of_each_pair_where_the_venue_has_it():
    def venue(clock):
        sent = plan(PAIRS, range(30))
        gone = [s for s in sent if s.pair == "A/USD" and s.item.time in {T0 + 7 * MINUTE, T0 + 9 * MINUTE}]
        nothing = [Sent(s.at, s.pair, Candle(s.item.time, (*s.item.bar[:4], 0))) for s in gone]
        return MadeUpVenue(clock, [s for s in sent if s not in gone] + nothing)

    done = played(venue, 1, pairs=PAIRS)
    # A traded in neither minute 7 nor 9, so that its last three bars reach further back than B's.
    assert done.bars == [
        (bar(5), None), (bar(6), None), (None, bar(7)), (bar(8), bar(8)), (None, bar(9)), (bar(10), bar(10))
    ]  # fmt: skip
    short = calm(1, lookback=20).stream.tape
    assert "warm-up bars that made-up has, of 20 wanted: A/USD 10" in short.notes
    assert calm(1, lookback=0).bars == [of(10)]


def test_what_the_venue_says_of_a_pair_is_in_the_tape():
    tape = calm(1).stream.tape
    assert tape.terms == {"A/USD": {"tick": 10**7, "lot": 1, "qty_min": 5000, "cost_min": 5 * 10**7}}
    assert tape.decimals == {"A/USD": 1}


def test_a_late_bar_is_missing_is_counted_and_changes_nothing():
    def venue(clock):
        sent = plan(("A/USD",), range(30))
        for one in sent:
            if one.item.time == T0 + 12 * MINUTE:
                one.at = T0 + 13 * MINUTE + 3 * SECOND
        return MadeUpVenue(clock, sent)

    done = played(venue, 5)
    assert done.bars[3:] == [of(10), of(11), (None,), of(13), of(14)]
    assert (counted(done, "late"), counted(done, "missing"), done.happened.missed) == ([1], [1], 0)
    assert "bars that came, whole or in part, after they were due; not used: A/USD 1" in done.stream.notes(
        done.happened
    )


def test_a_bar_whose_last_state_is_late_is_used_as_it_was():
    def venue(clock):
        sent = plan(("A/USD",), range(30))
        sent[25].at = T0 + 13 * MINUTE + 3 * SECOND
        assert sent[25].item == Candle(T0 + 12 * MINUTE, bar(12))
        return MadeUpVenue(clock, sent)

    done = played(venue, 4)
    assert done.bars[5:] == [(bar(12, 1),), of(13)]
    assert (counted(done, "late"), counted(done, "missing")) == ([1], [0])


@settings(max_examples=40)
@given(st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(random):
    def venue(clock):
        sent = []
        for one in plan(PAIRS, range(30)):
            within = T0 + (one.item.time - T0) + MINUTE
            moments = [random.randint(one.at, within) for _ in range(random.randint(1, 3))]
            sent += [Sent(at, one.pair, one.item) for at in moments]
        return MadeUpVenue(clock, sent)

    done = played(venue, 5, pairs=PAIRS)
    assert done.bars == [of(i, 2) for i in range(7, 15)]
    assert counted(done, "late") == [0, 0]
    assert done.happened.missed == 0


@pytest.mark.parametrize("streams", [True, False])
def test_what_an_outage_hid_is_fetched_moves_features_and_is_not_decided_on(streams):
    """Away from the middle of minute 11 until 20 s into minute 14: the bars of 11, 12 and 13 come at once, then."""
    away = (T0 + 11 * MINUTE + 30 * SECOND, T0 + 14 * MINUTE + 20 * SECOND)
    done = played(lambda c: MadeUpVenue(c, plan(PAIRS, range(60)), [away], streams), 8, pairs=PAIRS)
    assert done.bars == [of(i, 2) for i in range(7, 18)]
    late = [instant.time for _, instant in done.instants if instant.missed]
    assert late[:3] == [T0 + i * MINUTE for i in (11, 12, 13)]
    assert late[3:] in ([], [T0 + 14 * MINUTE])  # the next attempt may come after minute 14, too
    assert all(at >= away[1] for at, instant in done.instants if instant.missed)
    assert done.happened.missed == len(late)
    assert counted(done, "missing") == [0, 0]
    assert min(counted(done, "connections_lost")) >= 1
    assert any(note.startswith("instants fetched afterwards") for note in done.stream.notes(done.happened))


def test_a_connection_that_is_back_in_time_costs_nothing():
    away = (T0 + 11 * MINUTE + 15 * SECOND, T0 + 11 * MINUTE + 22 * SECOND)
    done = played(lambda clock: MadeUpVenue(clock, plan(("A/USD",), range(60)), [away]), 4)
    assert done.bars == [of(i) for i in range(7, 14)]
    assert done.happened.missed == 0
    assert counted(done, "connections_lost") == [1]


def test_a_venue_without_a_stream_is_asked_once_for_each_bar():
    done = played(lambda clock: MadeUpVenue(clock, plan(("A/USD",), range(60)), streams=False), 6)
    assert done.bars == [of(i) for i in range(7, 16)]
    asked = [at for at, _ in done.venue.asked if at > T0 + 11 * MINUTE]
    assert asked == [T0 + (i + 1) * MINUTE + 8 * SECOND // 10 for i in range(10, 16)]
    assert done.stream.facts(done.happened)["stream"]["transport"] == "rest"


def test_a_bar_that_is_not_there_yet_is_asked_for_again():
    def venue(clock):
        sent = plan(("A/USD",), range(30))
        for one in sent:
            if one.item.time == T0 + 12 * MINUTE:
                one.at = T0 + 13 * MINUTE + SECOND
        return MadeUpVenue(clock, sent, streams=False)

    assert played(venue, 4).bars == [of(i) for i in range(7, 14)]


def trades_of(i: int, pair: str = "A/USD") -> list[Sent]:
    """Four trades that make the bar of a minute."""
    opened, high, low, close, volume = bar(i)
    return [
        Sent(at := T0 + i * MINUTE + (5 + 15 * k) * SECOND, pair, Trade(at, str(4 * i + k), price, volume // 4))
        for k, price in enumerate((opened, high, low, close))
    ]


def test_bars_are_made_of_trades_and_the_first_is_asked_for():
    """The session begins inside minute 10, whose first trade it did not see."""

    def venue(clock):
        sent = plan(("A/USD",), range(60)) + [trade for i in range(60) for trade in trades_of(i)]
        return MadeUpVenue(clock, sent + sent[-200:])

    done = played(venue, 5, trades=True)
    assert done.bars == [of(i) for i in range(7, 15)]
    assert done.happened.missed == 0
    assert {at for at, _ in done.venue.asked if at > T0 + 11 * MINUTE} == {T0 + 11 * MINUTE + 8 * SECOND // 10}


def test_the_first_bar_of_trades_is_asked_for_until_the_venue_answers():
    """The stream goes on all the while; only the questions fail."""
    away = (T0 + 11 * MINUTE, T0 + 11 * MINUTE + 5 * SECOND)

    def venue(clock):
        sent = plan(("A/USD",), range(60)) + [trade for i in range(60) for trade in trades_of(i)]
        return MadeUpVenue(clock, sent, deaf=away)

    done = played(venue, 5, trades=True)
    assert done.bars == [of(i) for i in range(7, 15)]
    assert counted(done, "connections_lost") == [0]
    asked = [at - away[0] for at, _ in done.venue.asked if at > away[0]]
    assert asked == [at * SECOND // 10 for at in (8, 13, 23, 43, 83)]
    assert [instant.time for _, instant in done.instants if instant.missed] == [T0 + 10 * MINUTE]


@pytest.mark.parametrize("lasts", [40 * SECOND, 20 * MINUTE])
def test_questions_that_fail_for_long_are_asked_ever_more_seldom_and_lose_nothing(lasts):
    away = (T0 + 11 * MINUTE, T0 + 11 * MINUTE + lasts)

    def venue(clock):
        sent = plan(PAIRS, range(90)) + [trade for p in PAIRS for i in range(90) for trade in trades_of(i, p)]
        return MadeUpVenue(clock, sent, deaf=away)

    done = played(venue, 30, pairs=PAIRS, trades=True)
    assert done.bars == [of(i, 2) for i in range(7, 40)]
    asked = [at for at, pair in done.venue.asked if pair == PAIRS[0] and at > away[0]]
    assert max(later - at for at, later in pairwise(asked)) <= MINUTE
    assert len(asked) <= 8 + lasts // MINUTE
    assert done.happened.missed <= 2 + lasts // MINUTE


def test_pages_go_on_over_bars_in_which_nothing_traded():
    """The venue looks a hundred bars far for an answer, and 250 in a row have no trades."""
    tape = calm(2).stream.tape

    def venue(clock):
        return MadeUpVenue(clock, plan(("A/USD",), [*range(15), *range(265, 300)]), reach=100, oldest_first=True)

    done = played(venue, 270, tape=tape, row=5, began=T0 + 275 * MINUTE + 7 * SECOND)
    assert done.bars == [of(i) if i < 15 or i >= 265 else (None,) for i in range(12, 280)]


@pytest.mark.parametrize("slips", [range(0, 99, 2), [0], [1]])
def test_one_empty_answer_is_not_believed(slips):
    away = (T0 + 12 * MINUTE + 30 * SECOND, T0 + 32 * MINUTE + 10 * SECOND)

    def venue(clock):
        return MadeUpVenue(clock, plan(("A/USD",), range(60)), [away], most=5, oldest_first=True, slips=slips)

    done = played(venue, 28)
    assert done.bars == [of(i) for i in range(7, 38)]


def test_warm_up_reaches_over_bars_in_which_nothing_traded():
    def venue(clock):
        return MadeUpVenue(clock, plan(("A/USD",), [*range(10), *range(160, 180)]), reach=100, oldest_first=True)

    done = played(venue, 2, lookback=4, began=T0 + 162 * MINUTE + 7 * SECOND)
    assert [bars for bars in done.bars if bars != (None,)] == [of(i) for i in (8, 9, 160, 161, 162, 163)]


@pytest.mark.parametrize(("streams", "trades"), [(True, False), (False, False), (True, True)])
def test_an_outage_longer_than_an_answer_is_fetched_in_as_many_as_it_takes(streams, trades):
    """Away from the middle of minute 12 until minute 32, at a venue that gives the first five bars that are wanted."""
    away = (T0 + 12 * MINUTE + 30 * SECOND, T0 + 32 * MINUTE + 10 * SECOND)

    def venue(clock):
        sent = plan(("A/USD",), range(60)) + [trade for i in range(60) for trade in trades_of(i) if trades]
        return MadeUpVenue(clock, sent, [away], streams, most=5, oldest_first=True, takes=SECOND // 10)

    done = played(venue, 28, trades=trades)
    assert done.bars == [of(i) for i in range(7, 38)]
    assert (counted(done, "late"), counted(done, "missing")) == ([0], [0])
    assert done.happened.missed >= 20
    back = min(at for at, _ in done.venue.asked if at >= away[1])
    asked = [at for at, _ in done.venue.asked if back <= at < back + 10 * SECOND]
    assert 5 <= len(asked) <= 15  # the connection and the row that waits may both ask, no other row does


def test_an_outage_in_the_middle_of_the_answers_leaves_nothing_out():
    """The connection is lost again while what the first outage hid is being fetched."""
    away = (T0 + 12 * MINUTE + 30 * SECOND, T0 + 32 * MINUTE + 10 * SECOND)

    def venue(clock):
        made = MadeUpVenue(clock, plan(("A/USD",), range(60)), [away], most=5, oldest_first=True)
        answer, broken = made.candles, []

        async def candles(pair: str, since: int) -> list[Candle]:
            if since > T0 + 20 * MINUTE and not broken:
                broken.append(since)
                raise Lost("away")
            return await answer(pair, since)

        made.candles = candles
        return made

    done = played(venue, 28)
    assert done.bars == [of(i) for i in range(7, 38)]
    assert counted(done, "missing") == [0]


def test_a_session_that_is_continued_fetches_what_it_missed():
    first = calm(2)
    tape = first.stream.tape
    later = T0 + 15 * MINUTE + 30 * SECOND
    done = calm(8, tape=tape, row=5, began=later)
    assert done.bars == [of(i) for i in range(12, 18)]
    assert [instant.missed for _, instant in done.instants] == [True] * 3 + [False] * 3
    assert [at for at, _ in done.instants] == [later] * 3 + [T0 + (i + 1) * MINUTE + 2 * SECOND for i in (15, 16, 17)]


def test_the_first_wait_is_short_and_the_longest_a_minute():
    waits = [[backoff(attempt) for _ in range(50)] for attempt in (1, 2, 5, 30)]
    for of_attempt, longest in zip(waits, (SECOND // 2, SECOND, 8 * SECOND, 60 * SECOND), strict=True):
        assert all(longest // 2 <= wait <= longest for wait in of_attempt)
        assert len(set(of_attempt)) > 10


def test_what_nobody_thought_of_ends_the_session_with_its_own_error():
    def venue(clock):
        made = MadeUpVenue(clock, plan(("A/USD",), range(60)))

        async def broken(pair: str) -> list[Candle]:
            raise KeyError("no such thing")

        made.next_candles = broken
        return made

    with pytest.raises(KeyError, match="no such thing"):
        played(venue, 4)
