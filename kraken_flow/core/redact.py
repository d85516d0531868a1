"""Keeps secrets of the environment out of everything that is printed or written."""

import os
import re

_SECRET = re.compile(r"(?i)secret|passw|passphrase|tokens?(_|$)|api_?key|private|credential|(^|_)keys?(_|$)")
_SETTING = re.compile(r"(?i)[-+]?[\d.,:e]+|true|false|none|null|default|disabled|enabled")
"""What is no secret whatever its variable is called, as in MAX_TOKENS=10000 or USE_API_KEY=disabled."""

_PLACE = re.compile(r"<([A-Za-z_]\w*)>")


def redact(text: str) -> str:
    """Replace the values of environment variables whose names say that they are secret.

    Values under 6 characters and plain settings stay: they would be found in every other line, and a configuration
    that was written with them replaced would not be the one that ran.
    """
    for name, value in os.environ.items():
        if len(value) >= 6 and _SECRET.search(name) and not _SETTING.fullmatch(value):
            text = text.replace(value, f"<{name}>")
    return text


def revealed(text: str) -> tuple[str, list[str]]:
    """Undo `redact`: put the values of secret variables back; return also the names of those that are not set."""
    missing = []

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if _SECRET.search(name) and name not in os.environ:
            missing.append(name)
        return os.environ[name] if _SECRET.search(name) and name in os.environ else found[0]

    return _PLACE.sub(value, text), missing
