"""Which file of a folder holds a pair, by the spellings that exchanges and tools use."""

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from kraken_flow.core.errors import UserError
from kraken_flow.core.instrument import split_pair
from kraken_flow.core.times import parse_timeframe, timeframe_name
from kraken_flow.data.read import stem
from kraken_flow.nearest import several

_OTHER_NAMES = {"btc": ("xbt",), "doge": ("xdg",), "xbt": ("btc",), "xdg": ("doge",)}
_X_NAMES = frozenset(["xbt", "xdg", "eth", "etc", "ltc", "mln", "rep", "xlm", "xmr", "xrp", "zec"])
_Z_NAMES = frozenset(["usd", "eur", "gbp", "cad", "jpy", "aud"])
_FIAT = frozenset(["USD", "EUR", "GBP", "CAD", "JPY", "AUD", "CHF", "AED", "BRL", "TRY"])
_QUOTES = _FIAT | frozenset(["USDT", "USDC", "DAI", "XBT", "BTC", "ETH", "DOT", "BNB"])
_RARE_QUOTES = frozenset(["PYUSD", "RLUSD", "FDUSD", "TUSD", "BUSD", "EURT", "EURC"])
"""Quotes that end in another one: BATUSD is BAT/USD, but BTCTUSD is BTC/TUSD."""
_MAJORS = frozenset(
    ["BTC", "XBT", "ETH", "SOL", "XRP", "LTC", "ADA", "DOGE", "XDG", "BNB", "USDT", "USDC", "EUR", "GBP"]
)
_KRAKEN_MINUTES = frozenset(["1", "5", "15", "30", "60", "240", "720", "1440", "10080"])
_TIMEFRAME = re.compile(r"([1-9]\d*)(s|m|min|h|hr|hour|d|day|w|week)")


def _asset_names(asset: str) -> set[str]:
    """Return the lower-case names of an asset: XBT is BTC, XDG is DOGE, old Kraken names begin with X or Z."""
    name = asset.lower()
    names = {name, *_OTHER_NAMES.get(name, ())}
    return names | {f"x{n}" for n in names if n in _X_NAMES} | {f"z{n}" for n in names if n in _Z_NAMES}


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^0-9A-Za-z]+", name) if word]


def names_pair(name: str, pair: str) -> bool:
    """Return whether a file name (without its ending) spells a pair: as one word, or as two words side by side.

    >>> [names_pair(n, "BTC/USD") for n in ("btcusd", "XBTUSD_60", "kraken_xbtusd_1h", "BTC-USD", "btcusdt")]
    [True, True, True, True, False]
    """
    base, quote = (_asset_names(asset) for asset in split_pair(pair.partition(":")[0]))
    words = [word.lower() for word in _words(name)]
    if any(first in base and second in quote for first, second in pairwise(words)):
        return True
    joined = {first + second for first in base for second in quote}
    return not joined.isdisjoint(words)


def stated_timeframe(name: str) -> int | None:
    """Return the timeframe (ns) that a file name states, None without one.

    `1h`, `15m`, `1D` anywhere between separators; a bare number of minutes as the last word, as in Kraken's dumps
    (`XBTUSD_60`). `1M` is a month elsewhere and is not taken for a minute.
    """
    words = _words(name)
    for word in words:
        found = _TIMEFRAME.fullmatch(word.lower())
        if found and not word.endswith("M"):
            return parse_timeframe(found[1] + found[2][0])
    if len(words) > 1 and words[-1] in _KRAKEN_MINUTES:
        return parse_timeframe(f"{words[-1]}m")
    return None


def pair_of(name: str, where: str) -> str:
    """Return the pair that a file name (without its ending) spells.

    Raises `UserError` naming `where` if it spells none, or several.

    >>> [pair_of(n, n) for n in ("XBTUSD_60", "kraken_xbtusd_1h", "BTC_USDT-1h", "XXBTZEUR", "BTC_USDT_USDT-1h")]
    ['BTC/USD', 'BTC/USD', 'BTC/USDT', 'BTC/EUR', 'BTC/USDT:USDT']
    """
    words = [word.upper() for word in _words(name) if not _TIMEFRAME.fullmatch(word.lower())]
    found = []
    for number, (first, second) in enumerate(pairwise(words)):
        if second in _QUOTES or second in _RARE_QUOTES:
            settled = words[number + 2 : number + 3]
            settle = f":{_asset(settled[0])}" if settled and settled[0] in (first, second) else ""
            found.append(f"{_asset(first)}/{_asset(second)}{settle}")
            break
    found = found or [pair for word in words if (pair := _joined(word))]
    if len(set(found)) != 1:
        what = f"may be of {' or '.join(dict.fromkeys(found))}" if found else "says no pair"
        raise UserError(f"{where}: its name {what}; call it for example btcusd_1h, or give mode.pair=BTC/USD")
    return found[0]


def _asset(name: str) -> str:
    return {"XBT": "BTC", "XDG": "DOGE"}.get(name, name)


def _joined(word: str) -> str | None:
    """Return the pair of a word like XBTUSD, None where it does not end in a quote currency."""
    if len(word) == 8:
        halves = word[:4], word[4:]
        if all(
            (h[0] == "X" and h[1:].lower() in _X_NAMES) or (h[0] == "Z" and h[1:].lower() in _Z_NAMES) for h in halves
        ):
            return f"{_asset(halves[0][1:])}/{_asset(halves[1][1:])}"
    rare = (q for q in _RARE_QUOTES if word.endswith(q) and word[: -len(q)] in _MAJORS)
    usual = sorted((q for q in _QUOTES if word.endswith(q) and len(word) > len(q)), key=len, reverse=True)
    quote = next(rare, None) or next((q for q in usual if len(word) - len(q) > 1), None) or next(iter(usual), None)
    return None if quote is None else f"{_asset(word[: -len(quote)])}/{_asset(quote)}"


def candles(folder: Path) -> dict[Path, str]:
    """Return the candle files directly in a folder, by name, with their names without ending."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return {path: name for path in files if (name := stem(path)) is not None}


_CONVERTED = (".json", ".json.gz", ".h5", ".hdf5")
"""Endings of formats in which other programs keep candles, and which are not read."""


def unread(names: Iterable[str]) -> str:
    """Return a sentence on files of formats that are known and not read, with what to do; nothing for none."""
    found = sorted(name for name in names if name.lower().endswith(_CONVERTED))
    if not found:
        return ""
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return (
        f"; {', '.join(found[:3])}{more}: JSON and HDF5 are not read, save them as parquet, feather or CSV "
        "(freqtrade's own: `freqtrade convert-data --format-from json --format-to feather`)"
    )


def find(folder: Path, pair: str, timeframe_ns: int, key: str = "data.path") -> Path:
    """Return the one file of a folder that holds a pair.

    A file whose name states the wanted timeframe goes before all others; two files left are an error that names both,
    as is none, with the nearest names.
    """
    files = candles(folder)
    hits = [path for path, name in files.items() if names_pair(name, pair)]
    exact = [path for path in hits if stated_timeframe(files[path]) == timeframe_ns]
    left = exact or hits
    if len(left) == 1:
        return left[0]
    if left:
        raise UserError(
            f"{key}: {folder} has {len(left)} files for {pair}: {', '.join(p.name for p in left)}; "
            f"state the timeframe in one name ({_example(pair)}_{timeframe_name(timeframe_ns)}), or give a file"
        )
    raise UserError(_none_found(folder, pair, files, key))


def _example(pair: str) -> str:
    return pair.partition(":")[0].replace("/", "").lower()


def _none_found(folder: Path, pair: str, files: dict[Path, str], key: str) -> str:
    wanted = _example(pair)
    if not files:
        return f"{key}: {folder} has no candle file (parquet, feather or CSV; sub-folders are not searched)" + unread(
            path.name for path in folder.iterdir()
        )
    near = several(wanted, files.values())
    shown = [path.name for path, name in files.items() if name in near] or [path.name for path in files][:5]
    return (
        f"{key}: {folder} has no file for {pair}; call it for example {wanted}.parquet or "
        f"{pair.partition(':')[0].replace('/', '-')}.csv. {'Nearest' if near else 'There'}: {', '.join(shown)}"
    )


def find_detail(folder: Path, pair: str, detail_ns: int, main: Path) -> Path | None:
    """Return the file with a pair's finer bars for the intrabar path, None without one.

    Files that state a timeframe above `detail_ns` and the decision bars' own file are left aside.
    """
    files = {path: name for path, name in candles(folder).items() if path != main and names_pair(name, pair)}
    stated = {path: stated_timeframe(name) for path, name in files.items()}
    left = [path for path, ns in stated.items() if ns == detail_ns] or [
        path for path, ns in stated.items() if ns is not None and detail_ns % ns == 0
    ]
    if len(left) > 1:
        raise UserError(
            f"exchange.fill.detail: {folder} has {len(left)} files of finer bars for {pair}: "
            f"{', '.join(p.name for p in left)}; leave one"
        )
    return left[0] if left else None
