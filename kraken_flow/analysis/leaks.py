"""Does anything know the future? Checks that need no knowledge of what they check.

Prefix invariance: what a node says of the rows up to t is the same where the market ends at t. Future perturbation: it
is the same whatever comes after t. And asked bar by bar, as a session asks it, it says what it says over whole columns.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from kraken_flow.analysis.account_answers import NOT_ASKED
from kraken_flow.analysis.answers import ACCOUNT, Answers, Failed, Subject, System, Table
from kraken_flow.analysis.fresh import each_fresh
from kraken_flow.analysis.futures import FUTURES, another, ends_at, window
from kraken_flow.analysis.outside import missed, read_outside
from kraken_flow.core.errors import UserError
from kraken_flow.core.feature_grid import pick_native
from kraken_flow.core.frame import bin_of, bin_open
from kraken_flow.core.market import Market
from kraken_flow.core.units import Int64Array

AGAIN, CUT, BY_BAR = "asked again", "nothing after", "bar by bar"
LONG, FAR, OUTSIDE = "nothing after, all bars", "bar by bar, many bars", "other sources"
CHECKS = (AGAIN, CUT, *FUTURES, LONG, BY_BAR, FAR, OUTSIDE)
"""All checks: the same market once more, one that ends, other futures, the end of all the data that there is, one bar
after another, the same for far more bars, and what is read besides the market."""
ROUNDING = 1e-9
"""Relative difference below which two answers are one calculation in another order of operations."""


@dataclass(frozen=True)
class Difference:
    """A place where an answer changed.

    Parameters: `check` a word of `CHECKS`; `time`, `pair` the first place, the bar's open in ns and the index of the
    pair; `whole` what the whole market gave there; `other` what the check gave; `fails` whether that is an error;
    `output` which output of the node it is; `rounds` whether nowhere more than the last bits differ.
    """

    check: str
    time: int
    pair: int
    whole: str
    other: str
    fails: bool = False
    output: int = 0
    rounds: bool = False


@dataclass
class Verdict:
    """What is known of one node.

    Parameters: `word` ok, leaks, varies (it is not the same when asked again), differs (it is not the same bar by bar,
    though no change of the future changes it), rounds (only its last bits change, with the number of rows that it is
    asked about), outside (it reads more than the market), follows (it reads a node of
    which one of these is true), idle (it says nothing on these rows, so nothing is shown); `first` the first
    difference; `rows` how many values were compared, over all pairs; `failed` the checks that found a difference.
    """

    subject: Subject
    word: str = "ok"
    first: Difference | None = None
    rows: int = 0
    failed: list[str] = field(default_factory=list)
    rounds: bool = True


@dataclass(frozen=True)
class Finding:
    """All verdicts, and how they were reached.

    Parameters: `cuts` the rows behind which the future was changed; `trials` how many other markets were asked about;
    `skipped` how many of them a node could not be asked about, because it failed on a future that never was.
    """

    verdicts: list[Verdict]
    cuts: list[int]
    trials: int
    skipped: int

    @property
    def passed(self) -> bool:
        """Whether nothing knows the future, and everything had something to say."""
        return all(verdict.word == "ok" for verdict in self.verdicts)


def audit(
    system: System,
    market: Market,
    cuts: int,
    seed: int,
    done: Callable[[int, int], object] = lambda n, total: None,
    long: Market | None = None,
) -> Finding:
    """Ask every node of a system about a market and about others that share its past; compare.

    Parameters
    ----------
    system
        The nodes.
    market
        Rows that begin with the first decision.
    cuts
        How many rows to draw; the edges of higher timeframes come on top.
    seed
        Decides the rows and the other futures.
    done
        Told how many of how many steps are done.
    long
        All the data that there is, or as much as can be computed in a few seconds: its signal half is asked about parts
        of it, for a node may know that it is being watched on few rows.

    Raises
    ------
    UserError
        Where a node cannot be asked about the market itself.
    """
    rows = cut_rows(market, cuts, system.higher, seed)
    n_steps = len(rows) + 4
    whole, again = each_fresh([partial(system.by_columns, market)] * 2, lambda n: done(n, n_steps))
    wrong = [f"{name}: {said.text}" for name, said in whole.items() if isinstance(said, Failed)]
    if wrong:
        raise UserError("\n".join(wrong))
    by_bar = _by_bar(system, market, system.by_bar)
    done(3, n_steps)
    found = list(differences(whole, again, AGAIN, market, market.n_rows - 1))
    strange = list(differences(whole, by_bar, BY_BAR, market, market.n_rows - 1))
    # A leak that shows on few bars shows where the two faces part, which random cuts may miss.
    parted = ((difference.time - int(market.times[0])) // market.timeframe_ns for _, difference in strange)
    rows = sorted({*rows, *(row for row in parted if row < market.n_rows - 1)})
    varies = {name for name, _ in found}
    found += strange + _on_long(system, market if long is None else long) + _outside(system, market, whole, varies)
    n_steps = len(rows) + 4
    works = [partial(_cut, whole, system, market, row, seed) for row in rows]
    skipped = 0
    for some, left_out in each_fresh(works, lambda n: done(n + 4, n_steps)):
        found += some
        skipped += left_out
    verdicts = judge(system.subjects, whole, found)
    return Finding(verdicts, rows, (1 + len(FUTURES)) * len(rows) + 2 + _QUARTERS, skipped)


_QUARTERS = 3
BY_BAR_ROWS = 10_000
"""Bars of all the data that the signal half is asked about bar by bar; a tenth with the Python engine."""


def _by_bar(system: System, market: Market, ask: Callable[[Market], Answers]) -> Answers:
    """Ask bar by bar; where a node fails at it, each by itself, so that the one that fails is known."""
    try:
        return each_fresh([partial(ask, market)])[0]
    except (RuntimeError, UserError):
        names = [name for name, subject in system.subjects.items() if subject.kind not in ACCOUNT]
        alone = each_fresh([partial(system.alone_by_bar, market, name) for name in names])
        return {name: said for some in alone for name, said in some.items()}


def _on_long(system: System, long: Market) -> list[tuple[str, Difference]]:
    """Ask the signal half about all the data: where it ends earlier, and bar by bar as far as that goes.

    A leak on rare bars shows where the two faces part: there the data is made to end too.
    """
    recent = window(long, BY_BAR_ROWS if pick_native(system.engine) else BY_BAR_ROWS // 10)
    whole, shorter = each_fresh([partial(system.signals, long), partial(system.signals, recent)])
    streamed = _by_bar(system, recent, system.signals_by_bar)
    parted = list(differences(shorter, streamed, FAR, recent, recent.n_rows - 1))
    before = long.n_rows - recent.n_rows
    places = {before + (each.time - int(recent.times[0])) // recent.timeframe_ns for _, each in parted}

    def part(row: int) -> list[tuple[str, Difference]]:
        return list(differences(whole, system.signals(ends_at(long, row)), LONG, long, row))

    rows = [long.n_rows * quarter // (_QUARTERS + 1) for quarter in range(1, _QUARTERS + 1)]
    rows += sorted(row for row in places if row < long.n_rows - 1)[:_QUARTERS]
    return parted + [each for some in each_fresh([partial(part, row) for row in rows]) for each in some]


def _outside(system: System, market: Market, whole: Answers, varies: set[str]) -> list[tuple[str, Difference]]:
    """Ask what is read besides the market; what cannot be asked here has been said before."""
    (seen,) = each_fresh([partial(read_outside, system, market)])
    (told,) = each_fresh([partial(missed, system, market, seen, whole, varies)])
    return [
        (name, Difference(OUTSIDE, int(market.times[0]), 0, "", what)) for name, what in (told | seen.paths).items()
    ]


def _cut(
    whole: Answers, system: System, market: Market, row: int, seed: int
) -> tuple[list[tuple[str, Difference]], int]:
    """Do all checks behind one row."""
    found: list[tuple[str, Difference]] = []
    skipped = 0
    for check, other in others(market, row, seed, system.higher):
        said = system.by_columns(other)
        if check != CUT:
            # A future that never was may be one that a node is right to refuse.
            skipped += any(isinstance(answer, Failed) for answer in said.values())
            said = {name: answer for name, answer in said.items() if not isinstance(answer, Failed)}
        found += differences(whole, said, check, market, row)
    return found, skipped


def leaks(ask: Callable[[Market], Table], market: Market, rows: Iterable[int], seed: int = 0) -> list[Difference]:
    """Do the checks of an audit that ask about columns for a single node.

    Parameters: `ask` gives the answer, of shape (..., n_pairs, n_rows); `rows` where to cut.
    """
    whole = {"": ask(market)}
    return [
        difference
        for row in rows
        for check, other in others(market, row, seed)
        for _, difference in differences(whole, {"": ask(other)}, check, market, row)
    ]


def others(market: Market, row: int, seed: int, higher: Iterable[int] = ()) -> Iterator[tuple[str, Market]]:
    """Yield the markets that share the past up to a row, each with the name of the check."""
    yield CUT, ends_at(market, row)
    following = int(market.times[row]) + market.timeframe_ns
    ends = [bin_open(bin_of(following, length) + 1, length) for length in higher]
    lengths = [(end - following) // market.timeframe_ns for end in ends] or [1]
    until = row + lengths[row % len(lengths)]
    for future in FUTURES:
        yield future, another(market, row, future, seed, until)


def cut_rows(market: Market, cuts: int, higher: Iterable[int], seed: int) -> list[int]:
    """Draw rows after which to change the future; with each higher timeframe come rows around a close of its bars."""
    last = market.n_rows - 2
    if last < 1:
        return []
    rng = np.random.default_rng(seed)
    rows = {last, *rng.choice(last, min(cuts, last), replace=False).tolist()}
    for length in higher:
        closes: Int64Array = np.flatnonzero((market.times + market.timeframe_ns - bin_open(0, length)) % length == 0)
        for close in rng.choice(closes, min(2, len(closes)), replace=False).tolist():
            rows |= {close - 1, close, close + 1}
    return sorted(row for row in rows if 0 <= row <= last)


def differences(
    whole: Answers, other: Answers, check: str, market: Market, row: int
) -> Iterator[tuple[str, Difference]]:
    """Yield the nodes whose answers up to a row are not the same to the bit, each with the first place."""
    for name, said in other.items():
        expected = whole[name]
        if isinstance(expected, Failed):
            continue
        if isinstance(said, Failed):
            at = 0 if check in {BY_BAR, FAR} else row
            yield name, Difference(check, int(market.times[at]), 0, "", said.text, fails=True)
            continue
        a, b = expected[..., : row + 1], said[..., : row + 1]
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        if same.all():
            continue
        wrong = ~same.reshape(-1, *same.shape[-2:])
        at = int(wrong.any(axis=(0, 1)).argmax())
        pair = int(wrong[:, :, at].any(axis=0).argmax())
        output = int(wrong[:, pair, at].argmax())
        before, after = _texts(*(table.reshape(wrong.shape)[output, pair, at] for table in (a, b)))
        with np.errstate(invalid="ignore"):
            rounds = a.dtype == np.float64 and np.isclose(a, b, rtol=ROUNDING, atol=0.0, equal_nan=True).all()
        yield name, Difference(check, int(market.times[at]), pair, before, after, output=output, rounds=bool(rounds))


def _texts(a: Any, b: Any) -> tuple[str, str]:
    """Write values of a feature or a forecast with digits enough to differ; digests of the account half say nothing."""
    if not isinstance(a, float):
        return "", ""
    short = format(a, ".9g"), format(b, ".9g")
    return short if short[0] != short[1] else (repr(float(a)), repr(float(b)))


def judge(subjects: Mapping[str, Subject], whole: Answers, found: Iterable[tuple[str, Difference]]) -> list[Verdict]:
    """Return a verdict per node: those whose inputs were sound and who changed all the same are the ones that leak."""
    verdicts = {name: Verdict(subject, rows=_compared(whole[name], subject.kind)) for name, subject in subjects.items()}
    for name, difference in sorted(found, key=lambda item: _rank(item[1])):
        verdict = verdicts[name]
        verdict.first = verdict.first or difference
        verdict.failed += [difference.check] * (difference.check not in verdict.failed)
        verdict.rounds = verdict.rounds and difference.rounds
    for verdict in verdicts.values():
        above = [verdicts[name].word for name in verdict.subject.reads]
        if verdict.first is not None:
            verdict.word = _word(verdict) if set(above) <= {"ok", "idle"} else "follows"
        elif verdict.rows == 0 and verdict.subject.kind not in ACCOUNT:
            verdict.word = "idle"
    _blame_the_first([v for v in verdicts.values() if v.subject.kind in ACCOUNT and v.first is not None])
    return list(verdicts.values())


def _rank(difference: Difference) -> tuple[bool, int, int]:
    """Put the earliest bar first, and last errors, which have no first bar, and what shows outside the bars audited."""
    return difference.fails or difference.check in {LONG, FAR}, difference.time, CHECKS.index(difference.check)


def _word(verdict: Verdict) -> str:
    failed = verdict.failed
    if OUTSIDE in failed or verdict.rounds:
        return "outside" if OUTSIDE in failed else "rounds"
    return "varies" if AGAIN in failed else "differs" if {*failed} <= {BY_BAR, FAR} else "leaks"


def _blame_the_first(account: list[Verdict]) -> None:
    """Of the account half, which feeds back into itself, let the node that changed first be the one that leaks."""
    if not account or account[0].word == "follows":
        return
    first = min(account, key=lambda verdict: verdict.first.time if verdict.first else 0)
    for verdict in account:
        if verdict is not first:
            verdict.word = "follows"


def _compared(said: Table | Failed, kind: str) -> int:
    """Count the values that say something: numbers of a feature, answers asked for, forecasts if one is not 0."""
    if isinstance(said, Failed):
        return 0
    if kind in ACCOUNT:
        return int((said[0] != NOT_ASKED).sum())
    silent = np.isnan(said).all(axis=0) if kind == "feature" else np.full(said[0].shape, not said[0].any())
    return int((~silent).sum())
