"""The names nearest to a misspelt one. Imports the standard library only, for `--help` and `arguments` come first."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches


def several(name: str, known: Iterable[str], most: int = 3, cutoff: float = 0.5) -> list[str]:
    """Return up to `most` known names that are like `name` in upper or lower case, the nearest first."""
    by_fold: dict[str, list[str]] = {}
    for other in known:
        by_fold.setdefault(other.lower(), []).append(other)
    return [k for fold in get_close_matches(name.lower(), by_fold, most, cutoff) for k in by_fold[fold]][:most]


def nearest(name: str, known: Iterable[str], cutoff: float = 0.7) -> str | None:
    """Return the known name most like `name`, else the only one that holds it or that it holds; None for none.

    A name that begins with another letter has to be more alike: few letters in common mean little in short words.

    >>> nearest("sma_corss", ["sma_cross", "hold"]), nearest("stop", ["stop_loss", "trailing"])
    ('sma_cross', 'stop_loss')
    >>> nearest("money", ["none", "mode"]), nearest("fixed", ["files", "sample"]), nearest("mine", ["engine"])
    (None, None, None)
    """
    names = list(known)
    same = sorted(name.lower())
    for other in several(name, names, 5, min(cutoff, 0.6)):
        needed = cutoff if other[:1].lower() == name[:1].lower() else cutoff + 0.1
        if sorted(other.lower()) == same or SequenceMatcher(None, other.lower(), name.lower()).ratio() >= needed:
            return other
    if len(name) < 3:
        return None
    begin = [k for k in names if k.startswith(name) or (len(k) > 2 and name.startswith(k))]
    found = begin or [k for k in names if len(name) > 3 and name in k]
    return found[0] if len(found) == 1 else None


def near_pairs(pair: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return up to `most` known pairs whose first currency is like that of `pair`: all of a market share the second.

    >>> near_pairs("BTC/EUR", ["ETH/USD", "BTC/USD"]), near_pairs("FOO/USD", ["SOL/USD", "BTC/USD"])
    (['BTC/USD'], [])
    """
    names = list(known)
    bases = several(pair.partition("/")[0], dict.fromkeys(name.partition("/")[0] for name in names), most, 0.6)
    return [name for base in bases for name in names if name.partition("/")[0] == base][:most]


def hint(name: str, known: Iterable[str], prefix: str = "", suffix: str = "") -> str:
    """Return "; did you mean <prefix><name><suffix>?", or nothing."""
    found = nearest(name, known)
    return f"; did you mean {prefix}{found}{suffix}?" if found else ""
