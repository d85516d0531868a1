"""The `.env` file of the working directory. Imports the standard library only."""

import os
import re
from pathlib import Path

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def read_dotenv(path: Path) -> None:
    """Set the file's variables where the environment has none of that name; a missing file is none.

    A line is `NAME=value`, `export NAME=value`, a comment or blank; a value may stand in single or double quotes, and
    outside quotes ends at ` #`. Nothing is expanded. Raises `UserError` naming file and line, never the value.
    """
    if not path.is_file():
        return
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found = _LINE.fullmatch(text)
        if not found:
            from kraken_flow.core.errors import UserError  # its package is half the start-up time of --help

            raise UserError(f"{path}, line {number}: write NAME=value, one to a line")
        name, value = found.groups()
        quote = value[:1]
        if quote in {"'", '"'} and value.find(quote, 1) > 0:
            value = value[1 : value.find(quote, 1)]
        else:
            value = re.sub(r"(^|\s+)#.*", "", value)
        os.environ.setdefault(name, value)


def log_level() -> str:
    """Return LOG_LEVEL, INFO where it is not set; another word than a level is a `UserError`."""
    level = os.environ.get("LOG_LEVEL", "INFO").upper() or "INFO"
    if level not in LEVELS:
        from kraken_flow.core.errors import UserError  # as above

        raise UserError(f"LOG_LEVEL={level}: must be one of {', '.join(LEVELS)}")
    return level
