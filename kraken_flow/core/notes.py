"""Sentences about market data, each with the pairs that it is true of."""

from collections.abc import Sequence
from typing import TypeAlias

Notes: TypeAlias = dict[str, list[str]]
"""Sentences for the data summary, each with the pairs it is true of; none for a sentence about the whole market."""


def tell(notes: Notes, pair: str, note: str) -> None:
    """Add a sentence about a pair."""
    notes.setdefault(note, []).append(pair)


def sentences(notes: Notes, n_pairs: int) -> tuple[str, ...]:
    """Write the notes, one line for all pairs that share one."""

    def head(pairs: Sequence[str]) -> str:
        return "all pairs" if len(pairs) == n_pairs > 1 else ", ".join(pairs)

    return tuple(f"{head(pairs)}: {note}" if pairs else note for note, pairs in notes.items())
