"""A journal gives back what was written; a torn tail is cut, damage before it is refused by name and offset."""

import errno
import os
import struct
from io import FileIO
from pathlib import Path
from zlib import crc32

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.runs import journal
from kraken_flow.runs.journal import MAGIC, Journal, Reader

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=("Cs",)))
)
CONTENTS = st.dictionaries(
    st.text("abc", max_size=4),
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4), max_leaves=6),
    max_size=4,
)
FRAMES = st.lists(CONTENTS, max_size=8)
SOME = [{"n": 0}, {}, {"text": "é\0", "list": [1, None, [2]]}, {"n": 3, "long": "x" * 40}]


def read(path: Path) -> tuple[list[dict], Reader]:
    reader = Reader(path)
    return [frame.content for frame in reader], reader


def read_as_far_as_it_goes(path: Path) -> tuple[list[dict], str]:
    """The frames before the first damage, and what is said of that."""
    seen = []
    try:
        seen += (frame.content for frame in Reader(path))
    except CheckFailed as error:
        return seen, str(error)
    return seen, ""


def append_all(made: Journal, contents: list[dict], kept: list[dict]) -> None:
    """Append frames; `kept` gets those that were taken."""
    for content in contents:
        made.append(content)
        kept.append(content)


def written(path: Path, contents: list[dict]) -> bytes:
    """Write frames; return the file."""
    path.unlink(missing_ok=True)
    made = Journal(path)
    for content in contents:
        made.append(content)
    made.close()
    return path.read_bytes()


def by_hand(contents: list[dict]) -> bytes:
    """The format as it is described, written down a second time."""
    data = b"KFJRNL1\n"
    for content in contents:
        payload = orjson.dumps(content)
        head = len(payload).to_bytes(4, "little") + crc32(payload).to_bytes(4, "little")
        data += head + crc32(head).to_bytes(4, "little") + payload
    return data


def offsets(contents: list[dict]) -> list[int]:
    """Where each frame begins, and where the last one ends."""
    return [len(by_hand(contents[:n])) for n in range(len(contents) + 1)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journal") / "journal"


@settings(max_examples=60)
@given(FRAMES, FRAMES)
def test_what_is_written_is_read(file, first, second):
    assert written(file, first) == by_hand(first)
    contents, reader = read(file)
    assert (contents, reader.end, reader.torn) == (first, len(by_hand(first)), 0)
    again = Journal(file, reader.end)
    for content in second:
        again.append(content)
    again.close()
    assert file.read_bytes() == by_hand(first + second)
    assert [(f.number, f.offset) for f in Reader(file)] == list(enumerate(offsets(first + second)[:-1]))


@pytest.mark.parametrize("filled", [0, 1, 700], ids=lambda zeros: f"{zeros} zeros")
def test_cut_at_every_byte_gives_the_whole_frames_and_goes_on(file, filled):
    """A crash leaves a file that ends too early, or one whose last bytes never reached the disk."""
    whole, ends = written(file, SOME), offsets(SOME)
    for cut in range(len(whole) + 1):
        file.write_bytes(whole[:cut] + bytes(filled))
        kept = max((n for n, end in enumerate(ends) if end <= cut), default=0)
        contents, reader = read(file)
        assert contents == SOME[:kept], cut
        assert reader.end == (ends[kept] if cut >= len(MAGIC) else 0)
        assert reader.torn == cut + filled - reader.end
        again = Journal(file, reader.end)
        again.append({"after": cut})
        again.close()
        assert file.read_bytes() == by_hand([*SOME[:kept], {"after": cut}])


@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF, None], ids=["low bit", "high bit", "all bits", "zero"])
def test_a_changed_byte_before_the_last_frame_is_refused_by_name_and_offset(file, change):
    whole, ends = written(file, SOME), offsets(SOME)
    for at in range(ends[-2]):
        value = 0 if change is None else whole[at] ^ change
        if value == whole[at]:
            continue
        damaged = whole[:at] + bytes([value]) + whole[at + 1 :]
        file.write_bytes(damaged)
        with pytest.raises(CheckFailed) as told:
            read(file)
        if at < len(MAGIC):
            assert "no journal of ours" in str(told.value)
        else:
            number = max(n for n, end in enumerate(ends) if end <= at)
            assert f"{file}: frame {number} at byte {ends[number]} is damaged" in str(told.value)
        assert file.read_bytes() == damaged


@given(st.data())
def test_stretches_lost_before_the_last_frame_are_refused(file, data):
    whole, ends = written(file, SOME), offsets(SOME)
    begin = data.draw(st.integers(len(MAGIC), ends[-2] - 1))
    end = data.draw(st.integers(begin + 1, ends[-2]))
    for stretch in (b"", bytes(end - begin), b"\xff" * (end - begin)):
        damaged = whole[:begin] + stretch + whole[end:]
        if damaged == whole or (begin in ends and end in ends and not stretch):
            continue  # whole frames taken out leave a whole journal: the fold of a session misses them
        file.write_bytes(damaged)
        with pytest.raises(CheckFailed, match="is damaged"):
            read(file)


@pytest.mark.parametrize("length", [0, 1, 3, 50, 10_000, 2**31, 2**32 - 1])
@pytest.mark.parametrize("honest", [False, True], ids=["plain", "with a checksum to it"])
def test_a_changed_length_never_gives_a_wrong_frame(file, length, honest):
    """Even one whose checksum was made to fit gives no frame that was not written."""
    whole, ends = written(file, SOME), offsets(SOME)
    head = struct.pack("<I", length) + whole[ends[1] + 4 : ends[1] + 8]
    head += struct.pack("<I", crc32(head)) if honest else whole[ends[1] + 8 : ends[1] + 12]
    if head == whole[ends[1] : ends[1] + 12]:
        return
    file.write_bytes(whole[: ends[1]] + head + whole[ends[1] + 12 :])
    seen, told = read_as_far_as_it_goes(file)
    if told:
        assert f"frame 1 at byte {ends[1]}" in told
    else:
        assert honest
        assert length > len(whole)
    assert seen == SOME[:1]


@pytest.mark.parametrize("at", ["header", "payload", "end"])
def test_a_damaged_last_frame_is_cut_or_refused_and_never_read(file, at):
    whole, ends = written(file, SOME), offsets(SOME)
    place = {"header": ends[-2] + 5, "payload": ends[-2] + 15, "end": ends[-1] - 1}[at]
    file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :])
    if at == "header":
        with pytest.raises(CheckFailed, match=f"frame 3 at byte {ends[-2]}"):
            read(file)
    else:
        contents, reader = read(file)
        assert (contents, reader.torn) == (SOME[:3], ends[-1] - ends[-2])


@pytest.mark.parametrize(
    "content", [b"time,open\n", b"\x7fELF" + bytes(60), b"KFJRNL2\n", bytes(4) + b"x", MAGIC[:3] + b"!"]
)
def test_another_file_is_refused_and_kept(file, content):
    file.write_bytes(content)
    with pytest.raises(CheckFailed, match="no journal of ours"):
        read(file)
    assert file.read_bytes() == content


def test_a_whole_frame_that_holds_no_object_is_refused(file):
    file.write_bytes(by_hand([{"n": 0}, [1, 2], {"n": 2}]))  # type: ignore[list-item]  # that is the point
    with pytest.raises(CheckFailed, match=r"frame 1 at byte \d+ .*holds no object"):
        read(file)


def test_what_cannot_be_read_is_wrong_input(tmp_path):
    (tmp_path / "journal").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "journal")
    assert read(tmp_path / "nowhere")[0] == []


class Full(FileIO):
    """A file on a disk with room for some bytes more; it takes what fits, as a disk does."""

    room = 0
    cuts = True

    def write(self, data) -> int:
        if not Full.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = super().write(bytes(data)[: Full.room])
        Full.room -= taken
        return taken

    def truncate(self, size=None):
        if not Full.cuts:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().truncate(size)


@pytest.mark.parametrize("cuts", [True, False], ids=["cut again", "left torn"])
def test_a_disk_that_fills_up_at_any_byte_loses_nothing_before(file, monkeypatch, cuts):
    whole = by_hand(SOME)
    monkeypatch.setattr(journal, "opened", lambda path: Full(path, "r+" if path.exists() else "x+"))
    for room in range(len(MAGIC), len(whole)):
        file.unlink(missing_ok=True)
        Full.room, Full.cuts = room, True
        made, kept = Journal(file), []
        Full.cuts = cuts
        with pytest.raises(CheckFailed, match=r"disk is full; nothing before is lost: make room"):
            append_all(made, SOME, kept)
        Full.room = 10**6
        with pytest.raises(CheckFailed, match="an earlier write failed"):
            made.append({"after": "a hole"})
        made.close()
        contents, reader = read(file)
        assert contents == kept
        assert reader.torn == (0 if cuts else room - reader.end)
        Full.cuts = True
        again = Journal(file, reader.end)
        append_all(again, SOME[len(kept) :], [])
        again.close()
        assert file.read_bytes() == whole


def test_after_a_failed_sync_nothing_is_called_safe(file, monkeypatch):
    """A second sync may succeed although the first one lost pages."""
    file.unlink(missing_ok=True)
    made = Journal(file)
    made.append({"n": 0})
    calls = []

    def fails_once(handle):
        calls.append(handle)
        if len(calls) == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(journal.os, "fsync", fails_once)
    with pytest.raises(CheckFailed, match=r"the disk fails \(Input/output error\)\. Nothing before is lost"):
        made.sync()
    for act in (made.sync, lambda: made.append({"n": 1})):
        with pytest.raises(CheckFailed, match="an earlier write failed"):
            act()
    made.close()
    assert len(calls) == 1


def test_it_counts_how_often_it_waited_for_the_disk(file):
    file.unlink(missing_ok=True)
    made = Journal(file)
    before = made.syncs
    made.append({"n": 0})
    made.sync()
    made.close()
    assert made.syncs == before + 2
    assert made.sync_s > 0
