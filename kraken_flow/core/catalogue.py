"""What a catalogue of candles promises: to be filled from files, to be listed, to be checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Wanted:
    """What an import is asked to do.

    Parameters
    ----------
    source
        A candle file, a folder, or a zip of candle files.
    exchange
        The shelf that the candles go to.
    pair, timeframe
        What the files hold where their names do not say it; None where they do.
    on_bad
        `error` refuses a file with a bad row, `drop` leaves bad rows out and counts them.
    on_conflict
        What happens where a bar is in the catalogue with other values: `error` refuses the file, `keep` leaves what is
        there, `replace` takes the file's.
    """

    source: Path
    exchange: str
    pair: str | None = None
    timeframe: str | None = None
    on_bad: str = "error"
    on_conflict: str = "error"


@dataclass(frozen=True)
class Taken:
    """What became of one file of an import.

    Parameters: `where` names the file; `series` is exchange, pair and timeframe, empty where they are not known; then
    numbers of rows: `added` new bars, `same` bars that were there alike, `kept` and `replaced` bars that were there
    with other values, `dropped` bad rows; `already` says that the file had been imported before and was not read again;
    `problem` why it was refused, empty where it was not.
    """

    where: str
    series: str = ""
    added: int = 0
    same: int = 0
    kept: int = 0
    replaced: int = 0
    dropped: int = 0
    already: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Entry:
    """One series of a catalogue.

    Parameters: `first` and `last` are bar opens in ns UTC; `gaps` counts runs of missing bars and `missing` the bars in
    them; `longest_gap` is in bars; `damage` names the files that are not what the manifest says, None where nobody
    looked.
    """

    exchange: str
    pair: str
    timeframe: str
    first: int
    last: int
    bars: int
    gaps: int
    missing: int
    longest_gap: int
    size_bytes: int
    damage: tuple[str, ...] | None


@runtime_checkable
class Catalogue(Protocol):
    """A node of group `data` that keeps candles by exchange, pair and timeframe."""

    @property
    def folder(self) -> Path:
        """Return where it is kept."""

    def expect(self, wanted: Wanted) -> int:
        """Return how many files an import would look at. Raises `UserError` where it cannot begin."""

    def fill(self, wanted: Wanted) -> Iterator[Taken]:
        """Import file by file; what was imported before is not read again.

        A file that is refused is told and costs no other one. Raises `OSError` where the catalogue cannot be written:
        what was imported until then stays. Its caller sees to it that nobody else fills the same catalogue.
        """

    def entries(self, check: bool) -> Iterator[Entry]:
        """Yield what there is, sorted by exchange, pair and timeframe; `check` reads every byte and compares hashes."""
