"""The nearest name to a misspelt one."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, None where nothing comes near."""
    names = list(known)
    found = get_close_matches(name.lower(), [k.lower() for k in names], n=1, cutoff=0.6)
    if found:
        return next(k for k in names if k.lower() == found[0])
    begins = [k for k in names if len(name) > 1 and (k.startswith(name) or name.startswith(k))]
    return begins[0] if len(begins) == 1 else None


def hint(name: str, known: Iterable[str], prefix: str = "", suffix: str = "") -> str:
    """Return "; did you mean <prefix><name><suffix>?", or nothing."""
    found = nearest(name, known)
    return f"; did you mean {prefix}{found}{suffix}?" if found else ""
