"""The finer bars inside a decision bar, merged over pairs: pairs without any play their whole bar in the first slot."""

from typing import TypeAlias

from kraken_flow.core.market import ABSENT, REAL, SYNTHETIC
from kraken_flow.core.simulator import Bars

Slot: TypeAlias = tuple[int, int, Bars]
"""Open and close of a finer bar, ns UTC, and what the exchange sees in it."""


def finer_bars(coarse: Bars, slots: list[Bars], start: int, step: int) -> tuple[list[Slot], list[bool]]:
    """Return what the exchange plays inside a decision bar, and which pairs have finer bars there.

    Parameters: `coarse` the decision bar, open at `start` ns; `slots` its finer bars, `step` ns each.
    """
    has = [any(slot.state[p] == REAL for slot in slots) for p in range(len(coarse.state))]
    merged = [_merge(coarse, slot, has, s) for s, slot in enumerate(slots)]
    return [(start + s * step, start + (s + 1) * step, bars) for s, bars in enumerate(merged)], has


def _merge(coarse: Bars, fine: Bars, has: list[bool], slot: int) -> Bars:
    """Take finer bars where the pair has them, else the coarse bar in slot 0 and afterwards nothing.

    Then its open stands as the price that funds see: what comes after is known only at the bar's end.
    """
    lists: list[list[int]] = []
    for name in ("open", "high", "low", "close"):
        source = getattr(coarse, name) if slot == 0 else coarse.open
        lists.append(
            [
                f if ok and state != ABSENT else c
                for f, c, ok, state in zip(getattr(fine, name), source, has, fine.state, strict=True)
            ]
        )
    volume = [f if ok else (c if slot == 0 else 0) for f, c, ok in zip(fine.volume, coarse.volume, has, strict=True)]
    state = [
        f if ok else (c if slot == 0 else SYNTHETIC) for f, c, ok in zip(fine.state, coarse.state, has, strict=True)
    ]
    return Bars(lists[0], lists[1], lists[2], lists[3], volume, state)
