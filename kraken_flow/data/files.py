"""The user's own candle files."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from kraken_flow.core.errors import UserError
from kraken_flow.core.hashes import file_hash
from kraken_flow.core.market import Market
from kraken_flow.core.node import NonNegative, node
from kraken_flow.core.notes import Notes, sentences
from kraken_flow.core.times import iso, parse_timeframe, timeframe_name
from kraken_flow.data.candles import CandleSource
from kraken_flow.data.check import check
from kraken_flow.data.find import candles, find, find_detail, names_pair, stated_timeframe
from kraken_flow.data.funding import read_funding, within
from kraken_flow.data.grid import Series, assemble
from kraken_flow.data.marks import laid_marks
from kraken_flow.data.read import read, stem
from kraken_flow.nearest import several


@dataclass(frozen=True)
class _Wanted:
    pair: str
    timeframe_ns: int
    on_bad: str

    def series(self, path: Path, role: str = "bars") -> Series:
        """Read and check one file, or give again what was read while the file is the same."""
        try:
            found = path.stat()
        except OSError:
            return self.read(path, role)
        return _remembered(self, path, role, (found.st_mtime_ns, found.st_size, found.st_ino))

    def read(self, path: Path, role: str) -> Series:
        """Read and check one file."""
        stated = stated_timeframe(stem(path) or path.stem)
        hints = (self.timeframe_ns,) if stated is None else (stated, self.timeframe_ns)
        checked = check(read(path, self.on_bad), self.on_bad, hints)
        times = checked.bars.times
        record = {
            "pair": self.pair,
            "path": str(path),
            "role": role,
            "timeframe": timeframe_name(checked.step_ns),
            "sha256": file_hash(path),
            "first": iso(int(times[0])),
            "last": iso(int(times[-1])),
            "rows": len(times),
        }
        return Series(self.pair, checked, record)


@lru_cache(maxsize=64)
def _remembered(wanted: _Wanted, path: Path, role: str, _stamp: tuple[int, int, int]) -> Series:
    """Keep what was read, so that a sweep reads each file once."""
    return wanted.read(path, role)


@node
class Files(CandleSource):
    """Candles from a file or a folder: parquet, feather, CSV with a header, Kraken's headerless OHLCVT dump."""

    path: str
    """A candle file (for one pair), or a folder with one file per pair. Relative to the working directory."""
    on_bad: Literal["error", "drop"] = "error"
    """What to do with a bad row: stop and name it, or leave it out and count it."""
    max_gap: NonNegative[int] = 24
    """Longest run of missing bars over which features carry their last output; after a longer one they start anew."""
    feed_delay: str | int = "0"
    """How long after its close a bar is known, for example 500ms or 2s."""
    funding: str | None = None
    """Funding events of perpetuals: a file (for one pair), or a folder with one per pair; columns ts_ms (or time) and
    funding_rate, a fraction of the notional. null: none are charged."""
    mark: str | None = None
    """Mark prices of perpetuals: candles, a file or a folder as `path`. null: liquidation is judged at last prices."""

    def load(
        self,
        pairs: tuple[str, ...],
        timeframe: str,
        start: int | None,
        end: int | None,
        lookback: int,
        detail: str | None = None,
    ) -> Market:
        """Read the pairs' files onto one grid; see `core.source.Source`.

        Raises `UserError` naming file and row, or pair and folder.
        """
        timeframe_ns = parse_timeframe(timeframe)
        detail_ns = None if detail is None else parse_timeframe(detail, "exchange.fill.detail")
        names = tuple(sorted(pairs))
        paths = self._paths(names, timeframe_ns)
        alien: tuple[str, ...] = ()
        series = [_Wanted(pair, timeframe_ns, self.on_bad).series(paths[pair]) for pair in names]
        if Path(self.path).expanduser().is_file() and not names_pair(paths[names[0]].name, names[0]):
            alien = (f"{names[0]}: read from {paths[names[0]].name}, whose name does not say the pair",)
        alien += self._chosen(paths)
        finer = None
        if detail_ns is not None:
            finer = detail_ns, self._finer(series, paths, detail_ns)
        market = assemble(series, timeframe_ns, start, end, lookback, self.max_gap, finer)
        market = self._with_contracts(market)
        return replace(market, notes=(*alien, *market.notes))

    def _chosen(self, paths: dict[str, Path]) -> tuple[str, ...]:
        """Say which file was read for each pair of which the folder has several."""
        folder = Path(self.path).expanduser()
        if not folder.is_dir():
            return ()
        names = list(candles(folder).values())
        chosen = [pair for pair in paths if sum(names_pair(name, pair) for name in names) > 1]
        told = ", ".join(f"{pair} from {paths[pair].name}" for pair in chosen)
        return (f"{folder.name} has several files of a pair; read: {told}",) if told else ()

    def _with_contracts(self, market: Market) -> Market:
        """Add the marks and the funding that the configuration names."""
        names, step = market.names, market.timeframe_ns
        notes: Notes = {}
        files = list(market.files)
        if self.mark is not None:
            paths = self._paths(names, step, self.mark, "data.mark")
            series = {pair: _Wanted(pair, step, self.on_bad).series(paths[pair], "mark") for pair in names}
            market = replace(market, marks=laid_marks(market, series, notes))
            files += [one.record for one in series.values()]
        if self.funding is not None:
            paths = self._paths(names, step, self.funding, "data.funding")
            found = {pair: read_funding(paths[pair], pair) for pair in names}
            columns = tuple(within(market, found[pair].columns) for pair in names)
            market = replace(market, funding=columns)
            files += [one.record for one in found.values()]
        return replace(market, files=tuple(files), notes=(*market.notes, *sentences(notes, len(names))))

    def _paths(
        self, pairs: tuple[str, ...], timeframe_ns: int, where: str | None = None, key: str = "data.path"
    ) -> dict[str, Path]:
        place = Path(self.path if where is None else where).expanduser()
        if place.is_dir():
            return {pair: find(place, pair, timeframe_ns, key) for pair in pairs}
        if not place.exists():
            raise UserError(_missing(place, key))
        if len(pairs) > 1:
            raise UserError(
                f"{key}: {place} is one file, but {len(pairs)} pairs are wanted ({', '.join(pairs)}); "
                "name one pair or give a folder with one file per pair"
            )
        return {pairs[0]: place}

    def _finer(self, series: list[Series], paths: dict[str, Path], detail_ns: int) -> dict[str, Series]:
        """Return the series of finer bars by pair: a file of its own, or the decision bars' file where it is finer."""
        found: dict[str, Series] = {}
        for one in series:
            path = find_detail(paths[one.pair].parent, one.pair, detail_ns, paths[one.pair])
            if path is not None:
                found[one.pair] = _Wanted(one.pair, detail_ns, self.on_bad).series(path, "detail")
            elif one.checked.step_ns <= detail_ns:
                found[one.pair] = one
        if not found:
            folders = ", ".join(sorted({str(path.parent) for path in paths.values()}))
            raise UserError(
                f"exchange.fill.detail={timeframe_name(detail_ns)}: no finer file for any pair in {folders}; "
                f"call it for example {series[0].pair.replace('/', '').lower()}_{timeframe_name(detail_ns)}.parquet"
            )
        return found


def _missing(place: Path, key: str) -> str:
    near: list[str] = []
    if place.parent.is_dir():
        near = several(place.name, [p.name for p in place.parent.iterdir()])
        hint = (
            f"nearest in {place.parent}: {', '.join(near)}" if near else f"nothing in {place.parent} has a name like it"
        )
    else:
        hint = f"the folder {place.parent} does not exist either"
    return f"{key}: {place} does not exist; {hint}"
