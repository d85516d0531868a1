"""The journal of a session: append-only frames, each with its length and checksums; what it holds happened.

A frame is a header of twelve bytes (length of the payload, CRC32 of the payload, CRC32 of these eight bytes, little
endian) and a JSON payload. The header's own checksum tells a length that was never written whole from one that was
damaged later: the first is a torn tail, which a crash leaves and which is cut; the second is refused.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import orjson

from kraken_flow.core.errors import CheckFailed
from kraken_flow.runs.directory import explained

JOURNAL = "journal"
"""Name of the file in a run's folder."""
MAGIC = b"KFJRNL1\n"
_HEADER = struct.Struct("<III")
_LARGEST = 1 << 28
"""A frame is far smaller; a length beyond this is damage."""


@dataclass(frozen=True)
class Frame:
    """One frame: its number, the offset where it begins, and what it holds."""

    number: int
    offset: int
    content: dict[str, Any]


class Journal:
    """A journal open for appending.

    Parameters: `path` of the file, made where it is missing; `end` the offset after its last whole frame, at which a
    torn tail is cut.
    """

    def __init__(self, path: Path, end: int = 0) -> None:
        self.path = path
        with explained(path):
            self._file = path.open("r+b" if path.exists() else "x+b", buffering=0)
            if end < len(MAGIC):
                self._file.truncate(0)
                self._write(MAGIC)
            else:
                self._file.truncate(end)
                self._file.seek(end)
            self.sync()
            _sync_folder(path.parent)

    def append(self, content: Mapping[str, Any]) -> None:
        """Write one frame; it survives the end of the process, and after `sync` that of the machine.

        Raises `CheckFailed` on a full disk: what was written of the frame is cut again, nothing before it is lost.
        """
        payload = orjson.dumps(content)
        first = struct.pack("<II", len(payload), crc32(payload))
        begin = self._file.tell()
        with explained(self.path):
            try:
                self._write(first + struct.pack("<I", crc32(first)) + payload)
            except OSError:
                self._file.truncate(begin)
                self._file.seek(begin)
                raise

    def sync(self) -> None:
        """Return when everything written is on the disk: before an order is sent, its intent is."""
        with explained(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and close."""
        try:
            self.sync()
        finally:
            self._file.close()

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]


def _sync_folder(folder: Path) -> None:
    """Put the file's name on the disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Reader:
    """The frames of a journal, in order; afterwards `end` is the offset after the last whole one.

    Parameters: `path` of the file; one that is missing or was never begun has no frames.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.end = 0
        self.torn = 0
        """Bytes of a torn tail, which no frame holds."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames. Raises `CheckFailed` naming frame and offset where the file is damaged in the middle."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            magic = file.read(len(MAGIC))
            if magic != MAGIC:
                if not MAGIC.startswith(magic.rstrip(b"\0")):
                    raise CheckFailed(f"{self.path}: this is no journal of ours, or its first bytes are damaged")
                self.torn = size
                return
            self.end = len(MAGIC)
            number = 0
            while (content := self._frame(file, number, size)) is not None:
                begin, self.end = self.end, file.tell()
                yield Frame(number, begin, content)
                number += 1
            self.torn = size - self.end

    def _frame(self, file: BinaryIO, number: int, size: int) -> dict[str, Any] | None:
        """Return the next frame's content, None at the end or where only a torn tail follows."""
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return None
        length, checksum, own = _HEADER.unpack(header)
        if crc32(header[:8]) != own or length > _LARGEST:
            if not header.strip(b"\0") and _only_zeros(file):
                return None  # the file had grown, its bytes had not reached the disk
            raise self._damaged(number, "its header does not match its checksum")
        if self.end + _HEADER.size + length > size:
            return None
        payload = file.read(length)
        if crc32(payload) != checksum:
            if file.tell() == size:
                return None
            raise self._damaged(number, "its content does not match its checksum")
        content: dict[str, Any] = orjson.loads(payload)
        return content

    def _damaged(self, number: int, why: str) -> CheckFailed:
        return CheckFailed(
            f"{self.path}: frame {number} at byte {self.end} is damaged ({why}); nothing was changed. "
            "Restore the file from a copy, or start a new session in another run_dir"
        )


def _only_zeros(file: BinaryIO) -> bool:
    """Return whether nothing but zeros follows."""
    while block := file.read(1 << 20):
        if block.strip(b"\0"):
            return False
    return True
