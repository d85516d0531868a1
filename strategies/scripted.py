"""Submit the orders of a file."""

import csv
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from kraken_flow.core import Scripted, UserError, node
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.market import Market
from kraken_flow.core.orders import OrderRequest, OrderType, Reason, Side, Tif
from kraken_flow.core.times import parse_time
from kraken_flow.core.units import INT64_MAX, parse

T = TypeVar("T")
MOST_TOLD = 20
"""Problems of a file that are told one by one."""
REQUIRED = ("time", "pair", "side", "qty")
PRICES = ("limit_price", "stop_price", "stop_loss", "take_profit", "trail")
COLUMNS = (*REQUIRED, "type", "tif", "expire_time", "post_only", "reduce_only", *PRICES, "tag")
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
TYPES = {t.word: t for t in (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)}
TIFS = {t.word: t for t in Tif}
FLAGS = {"true": True, "1": True, "false": False, "0": False}
NEEDS = {
    OrderType.MARKET: frozenset[str](),
    OrderType.LIMIT: frozenset({"limit_price"}),
    OrderType.STOP: frozenset({"stop_price"}),
    OrderType.STOP_LIMIT: frozenset({"limit_price", "stop_price"}),
    OrderType.TRAILING: frozenset({"trail"}),
}


@node
class ScriptedOrders(Scripted):
    """Submit the orders of a CSV file: each acts at the first decision at or after its time.

    Columns: time, pair, side, qty, type, limit_price, stop_price, tif, expire_time, post_only, reduce_only, stop_loss,
    take_profit, trail, tag. All but the first four may be absent; an empty cell is not set. `stop_loss` and
    `take_profit` are prices, `trail` is a price distance; together they make the reduce-only group that protects what
    the order opens. On a reduce-only order without a type, `trail` makes the order itself a trailing stop.
    """

    path: str
    """The CSV file, relative to the working directory."""

    def files(self) -> tuple[str, ...]:
        """Return the path of the orders."""
        return (self.path,)

    def requests(self, market: Market, instruments: list[Instrument]) -> list[tuple[int, OrderRequest]]:
        """Return the orders by time, and in file order within a time.

        Raises `UserError` with every bad row: file, line, what is wrong and what is allowed.
        """
        found: list[tuple[int, OrderRequest]] = []
        problems: list[str] = []
        for line, cells in read_rows(self.path, problems):
            row = Row(cells)
            order = row.order(market.names)
            if row.problems:
                problems += [f"{self.path}, line {line}: {text}" for text in row.problems]
            else:
                found.append(order)
        if len(problems) > MOST_TOLD:
            problems[MOST_TOLD:] = [f"{self.path}: and {len(problems) - MOST_TOLD} more"]
        if problems:
            raise UserError("\n".join(problems))
        return sorted(found, key=lambda pair: pair[0])


def read_rows(path: str, problems: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and set cells of each row of the file; rows of another length are among the problems."""
    try:
        text = Path(path).read_text("utf-8-sig")
    except FileNotFoundError:
        raise UserError(
            f"strategy.path: there is no file {path}; paths are relative to the working directory"
        ) from None
    except OSError as error:
        raise UserError(f"strategy.path: {path} cannot be read ({error.strerror}); give a CSV file") from None
    except UnicodeDecodeError:
        raise UserError(f"strategy.path: {path} is no text in UTF-8; save it as CSV with that encoding") from None
    reader = csv.reader(text.splitlines(), skipinitialspace=True)
    names = [name.strip() for name in next(reader, [])]
    check_header(path, names)
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            problems.append(f"{path}, line {reader.line_num}: {len(cells)} cells, and the header names {len(names)}")
            continue
        row = zip(names, (cell.strip() for cell in cells), strict=True)
        yield reader.line_num, {name: cell for name, cell in row if cell}


def check_header(path: str, names: list[str]) -> None:
    """Refuse unknown, repeated and missing columns."""
    problems = []
    for name in dict.fromkeys(names):
        if name not in COLUMNS:
            near = get_close_matches(name, COLUMNS, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            problems.append(f"{path}, line 1: unknown column {name!r}{hint} (columns: {', '.join(COLUMNS)})")
        if names.count(name) > 1:
            problems.append(f"{path}, line 1: column {name} stands there twice")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        needs = ", ".join(REQUIRED)
        problems.append(f"{path}, line 1: column {', '.join(missing)} is missing; an order needs {needs}")
    if problems:
        raise UserError("\n".join(problems))


class Row:
    """The set cells of one line, and what is wrong with them."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self.cells = cells
        self.problems: list[str] = []

    def order(self, pairs: tuple[str, ...]) -> tuple[int, OrderRequest]:
        """Return the order's time and the order, which means nothing where there are problems."""
        missing = [name for name in REQUIRED if name not in self.cells]
        if missing:
            self.problems.append(f"{', '.join(missing)} must be given")
        pair = self.cells.get("pair", pairs[0])
        if pair not in pairs:
            self.problems.append(f"pair {pair!r} is not in this run; its pairs are {', '.join(pairs)}")
        prices = {name: self._read(name, _price, 0) for name in PRICES}
        reduce_only = self._word("reduce_only", FLAGS, False)
        kind = self._word("type", TYPES, OrderType.MARKET)
        if reduce_only and prices["trail"] and "type" not in self.cells:
            kind = OrderType.TRAILING
        trailing = kind is OrderType.TRAILING
        request = OrderRequest(
            pair=pairs.index(pair) if pair in pairs else 0,
            side=self._word("side", SIDES, Side.BUY),
            qty=self._read("qty", _price, 0),
            type=kind,
            limit_price=prices["limit_price"],
            stop_price=prices["stop_price"],
            trail=prices["trail"] if trailing else 0,
            tif=self._word("tif", TIFS, Tif.GTC),
            expire_time=self._read("expire_time", _moment, 0),
            post_only=self._word("post_only", FLAGS, False),
            reduce_only=reduce_only,
            stop_loss=prices["stop_loss"],
            take_profit=prices["take_profit"],
            bracket_trail=0 if trailing else prices["trail"],
            reason=Reason.SCRIPTED,
            tag=self._read("tag", _tag, ""),
        )
        time = self._read("time", _moment, 0)
        if not self.problems:
            self.problems += self._contradictions(request, time)
        return time, request

    def _contradictions(self, request: OrderRequest, time: int) -> Iterator[str]:
        """Name the combinations that no exchange takes."""
        word = request.type.word
        needs = NEEDS[request.type]
        for name in ("limit_price", "stop_price"):
            if name in needs and name not in self.cells:
                yield f"a {word} order needs {name}"
            if name not in needs and name in self.cells:
                yield f"a {word} order takes no {name}"
        if request.tif in (Tif.IOC, Tif.FOK) and request.type not in (OrderType.MARKET, OrderType.LIMIT):
            yield f"tif={request.tif.word} is for market and limit orders, and this is a {word} order"
        if request.post_only and (request.type is not OrderType.LIMIT or request.tif in (Tif.IOC, Tif.FOK)):
            yield "post_only is for limit orders that rest (gtc, gtd)"
        if request.stop_loss and request.take_profit and request.side * (request.take_profit - request.stop_loss) <= 0:
            above, below = ("take_profit", "stop_loss") if request.side > 0 else ("stop_loss", "take_profit")
            yield f"{above} must be above {below} on a {request.side.word} order"
        if (request.tif is Tif.GTD) != ("expire_time" in self.cells):
            yield "tif=gtd and expire_time go together: give both or neither"
        if request.tif is Tif.GTD and request.expire_time <= time:
            yield "expire_time must be after time"

    def _read(self, name: str, read: Callable[[str, str], T], default: T) -> T:
        if name not in self.cells:
            return default
        try:
            return read(self.cells[name], name)
        except UserError as error:
            self.problems.append(str(error))
            return default

    def _word(self, name: str, words: Mapping[str, T], default: T) -> T:
        if name not in self.cells:
            return default
        word = self.cells[name].lower()
        if word not in words:
            self.problems.append(f"{name} {self.cells[name]!r} must be one of {', '.join(words)}")
            return default
        return words[word]


def _price(text: str, name: str) -> int:
    units = parse(text, what=name)
    if not 0 < units <= INT64_MAX:
        raise UserError(f"{name}: {text} must be above 0 and below {INT64_MAX // 10**8}")
    return units


def _moment(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit():
        return parse_time(text, name)
    number = int(text)
    # A count of seconds stays below 10^11 until the year 5138, and so on up to nanoseconds.
    scale = next((10 ** (9 - 3 * k) for k, top in enumerate((10**11, 10**14, 10**17)) if number < top), 1)
    return number * scale


def _tag(text: str, name: str) -> str:
    if not text.isprintable():
        raise UserError(f"{name}: {text!r} has characters that cannot be printed")
    return text
