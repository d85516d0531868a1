"""Who holds a run's folder."""

import errno
import fcntl
import os
import stat
import threading
import time

import pytest

from kraken_flow.core.errors import UserError
from kraken_flow.runs import lock
from kraken_flow.runs.directory import claim


def test_a_folder_is_held_until_its_holder_lets_go(tmp_path):
    assert not lock.is_held(tmp_path)
    held = claim(tmp_path)
    assert lock.is_held(tmp_path)
    with pytest.raises(UserError, match="another run is writing there"):
        claim(tmp_path)
    held.release()
    assert not lock.is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not lock.is_held(tmp_path / "nowhere")


def test_somebody_who_only_looks_keeps_nobody_out(tmp_path):
    looking = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.1, os.close, [looking]).start()
    began = time.monotonic()
    claim(tmp_path).release()
    assert time.monotonic() - began < 5


def refusing(monkeypatch, folders_only):
    """Let flock fail as on a network file system: for what is not open for writing, or for everything."""
    real = fcntl.flock

    def flock(handle, kind):
        if not folders_only or stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EBADF, "no lock on this")
        real(handle, kind)

    monkeypatch.setattr(fcntl, "flock", flock)


def test_where_folders_cannot_be_locked_a_file_in_them_is(tmp_path, monkeypatch):
    refusing(monkeypatch, folders_only=True)
    held = claim(tmp_path)
    assert held.locks
    assert lock.is_held(tmp_path)
    with pytest.raises(UserError, match="another run is writing there"):
        claim(tmp_path)
    held.release()
    assert not lock.is_held(tmp_path)
    claim(tmp_path).release()  # the lock's own file makes no folder somebody else's


def test_a_session_does_without_no_lock(tmp_path, monkeypatch):
    refusing(monkeypatch, folders_only=False)
    held = claim(tmp_path)
    assert not held.locks
    held.release()
    with pytest.raises(UserError, match="has no locks"):
        claim(tmp_path, lambda folder: None)
