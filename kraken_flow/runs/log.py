"""The run log: JSON lines, level by LOG_LEVEL, rotated."""

import contextlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

import orjson

from kraken_flow.core.redact import redact

ROTATE_BYTES = 10 * 2**20
KEPT = 3
_ROOT = "kraken_flow"


class JsonLines(logging.Formatter):
    """One JSON object per record: time, level, logger, message, and what was passed as `extra={"data": ...}`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if data := getattr(record, "data", None):
            line["data"] = data
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return redact(orjson.dumps(line, default=str).decode())


class RunLog(RotatingFileHandler):
    """The file; a disk that is full costs lines of the log, not the run, whose files say what they lack."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Let the line go."""


def run_log(path: Path) -> RunLog:
    """Open a run's log at the level of LOG_LEVEL, INFO where it is not set."""
    handler = RunLog(path, maxBytes=ROTATE_BYTES, backupCount=KEPT, encoding="utf-8")
    handler.setFormatter(JsonLines())
    handler.setLevel(os.environ.get("LOG_LEVEL", "").upper() or "INFO")
    return handler


@contextmanager
def attached(handler: logging.Handler) -> Iterator[None]:
    """Send what the program logs to a handler while the context is open, then close it."""
    logger = logging.getLogger(_ROOT)
    before = logger.level
    if logger.getEffectiveLevel() > handler.level:
        logger.setLevel(handler.level)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        with contextlib.suppress(OSError):
            handler.close()
