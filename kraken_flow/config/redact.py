"""Keeps secrets of the environment out of everything that is printed or written."""

import os
import re

_SECRET = re.compile(r"(?i)(secret|passw|token|api_?key|private|credential)")


def redact(text: str) -> str:
    """Replace the values of environment variables whose names say that they are secret."""
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= 4:
            text = text.replace(value, f"<{name}>")
    return text
