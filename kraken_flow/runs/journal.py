"""The journal of a session: append-only frames, each with its length and checksums; what it holds happened.

A frame is a header of twelve bytes (length of the payload, CRC32 of the payload, CRC32 of these eight bytes, little
endian) and a JSON payload. The header's own checksum tells a length that was never written whole from one that was
damaged later: the first is a torn tail, which a crash leaves and which is cut; the second is refused.
"""

import contextlib
import os
import shlex
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import orjson

from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.runs import directory
from kraken_flow.runs.directory import explained

JOURNAL = directory.JOURNAL
"""Name of the file in a run's folder."""
MAGIC = directory.MAGIC
_HEADER = struct.Struct("<III")
_LENGTH_AND_SUM, _SUM = struct.Struct("<II"), struct.Struct("<I")
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

    After an error of the disk it takes nothing more: what the disk then holds is for a new reader to find out.

    Parameters: `path` of the file, made where it is missing; `end` the offset after its last whole frame, at which a
    torn tail is cut.
    """

    def __init__(self, path: Path, end: int = 0) -> None:
        self.path = path
        self.syncs = 0
        """How often it waited for the disk."""
        self.sync_s = 0.0
        """How long it waited, seconds."""
        self._broken = False
        self._end = 0
        with _told(path):
            self._file = opened(path)
        try:
            with self._guarded():
                self._file.truncate(end if end >= len(MAGIC) else 0)
                self._end = self._file.seek(0, os.SEEK_END)
                if end < len(MAGIC):
                    self._write(MAGIC)
            self.sync()
            with self._guarded():
                _sync_folder(path.parent)
        except BaseException:
            self._file.close()
            raise

    def append(self, content: Mapping[str, Any]) -> None:
        """Write one frame; it survives the end of the process, and after `sync` that of the machine.

        Raises `CheckFailed` where the disk is full or fails: what was written of the frame is cut again, nothing before
        it is lost.
        """
        payload = orjson.dumps(content)
        first = _LENGTH_AND_SUM.pack(len(payload), crc32(payload))
        self._refuse_after_an_error()
        try:
            self._write(first + _SUM.pack(crc32(first)) + payload)
        except BaseException:
            self._broken = True
            with contextlib.suppress(OSError):  # else a reader cuts it
                self._file.truncate(self._end)
            with _told(self.path):
                raise

    def sync(self) -> None:
        """Return when everything written is on the disk: before an order is sent, its intent is."""
        began = time.perf_counter()
        with self._guarded():
            os.fsync(self._file.fileno())
        self.syncs += 1
        self.sync_s += time.perf_counter() - began

    def facts(self) -> dict[str, float]:
        """Return its bytes so far, how often it waited for the disk, and how many seconds."""
        return {"bytes": self._end, "fsyncs": self.syncs, "fsync_s": round(self.sync_s, 3)}

    def close(self) -> None:
        """Sync and close; a journal that had an error is closed as it is."""
        try:
            if not self._broken:
                self.sync()
        finally:
            self._file.close()

    def _refuse_after_an_error(self) -> None:
        if self._broken:
            raise CheckFailed(f"{self.path}: an earlier write failed; start again to go on from what it holds")

    def _write(self, data: bytes) -> None:
        done = self._file.write(data)
        while done < len(data):  # a file without a buffer may take less than it is given
            done += self._file.write(data[done:])
        self._end += done

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Let nothing follow what failed: a frame behind half a frame, or a sync that forgets what one before lost."""
        self._refuse_after_an_error()
        try:
            with _told(self.path):
                yield
        except BaseException:
            self._broken = True
            raise


def opened(path: Path) -> FileIO:
    """Open a journal for reading and writing, without a buffer; make it where it is missing."""
    return FileIO(path, "r+" if path.exists() else "x+")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in a sentence what the disk refuses, and that nothing before it is lost."""
    goes_on = f"the same command with {shlex.quote(f'run_dir={path.parent}')} goes on"
    try:
        with explained(path, f"nothing before is lost: make room, and {goes_on}"):
            yield
    except OSError as error:
        raise CheckFailed(
            f"{path}: the disk fails ({os.strerror(error.errno or 0)}). Nothing before is lost: once the disk works, "
            f"{goes_on}"
        ) from error


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
            file = FileIO(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({os.strerror(error.errno or 0)})") from None
        with BufferedReader(file) as reader:
            size = os.fstat(file.fileno()).st_size
            magic = reader.read(len(MAGIC))
            if magic != MAGIC:
                if not MAGIC.startswith(magic.rstrip(b"\0")) or not _only_zeros(reader):
                    raise CheckFailed(f"{self.path}: this is no journal of ours, or its first bytes are damaged")
                self.torn = size
                return
            self.end = len(MAGIC)
            number = 0
            while (content := self._frame(reader, number, size)) is not None:
                begin, self.end = self.end, reader.tell()
                yield Frame(number, begin, content)
                number += 1
            self.torn = size - self.end

    def _frame(self, file: BinaryIO, number: int, size: int) -> dict[str, Any] | None:
        """Return the next frame's content, None at the end or where only a torn tail follows.

        A torn tail is a frame that ends too early, or whose bytes turn to zeros up to the end: then the file had grown,
        and they had not reached the disk.
        """
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return None
        length, checksum, own = _HEADER.unpack(header)
        if crc32(header[:8]) != own or length > _LARGEST:
            if header.endswith(b"\0") and _only_zeros(file):
                return None
            raise self._damaged(number, "its header does not match its checksum")
        if self.end + _HEADER.size + length > size:
            return None
        payload = file.read(length)
        if crc32(payload) != checksum:
            if file.tell() == size or (payload.endswith(b"\0") and _only_zeros(file)):
                return None
            raise self._damaged(number, "its content does not match its checksum")
        content = orjson.loads(payload)
        if not isinstance(content, dict):
            raise self._damaged(number, "it holds no object")
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
