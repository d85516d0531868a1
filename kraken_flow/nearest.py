"""The names nearest to a misspelt one. Imports the standard library only, for `--help` and `arguments` come first."""

from collections.abc import Iterable
from difflib import get_close_matches


def several(name: str, known: Iterable[str], most: int = 3, cutoff: float = 0.5) -> list[str]:
    """Return up to `most` known names that are like `name` in upper or lower case, the nearest first."""
    by_fold: dict[str, list[str]] = {}
    for other in known:
        by_fold.setdefault(other.lower(), []).append(other)
    return [k for fold in get_close_matches(name.lower(), by_fold, most, cutoff) for k in by_fold[fold]][:most]


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name most like `name`, else the only one that begins as it does; None where none comes near."""
    names = list(known)
    if found := several(name, names, 1, cutoff):
        return found[0]
    begins = [k for k in names if len(name) > 1 and (k.startswith(name) or name.startswith(k))]
    return begins[0] if len(begins) == 1 else None


def hint(name: str, known: Iterable[str], prefix: str = "", suffix: str = "") -> str:
    """Return "; did you mean <prefix><name><suffix>?", or nothing."""
    found = nearest(name, known)
    return f"; did you mean {prefix}{found}{suffix}?" if found else ""
