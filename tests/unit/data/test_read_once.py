"""A sweep reads its data once."""

from pathlib import Path

import pytest

from kraken_flow.data import files
from kraken_flow.data.files import Files
from kraken_flow.data.table import Table


def test_a_file_is_read_once_and_anew_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file is not read twice; one that was written again is."""
    path = tmp_path / "btcusd_1h.csv"
    rows = ["date,open,high,low,close,volume"] + [f"2024-01-01T0{i}:00:00Z,1,2,1,1.5,10" for i in range(5)]
    path.write_text("\n".join(rows) + "\n")
    reads: list[Path] = []
    plain = files.read

    def counted(path: Path, on_bad: str) -> Table:
        reads.append(path)
        return plain(path, on_bad)

    monkeypatch.setattr(files, "read", counted)
    node = Files(path=str(path))
    first = node.load(("BTC/USD",), "1h", None, None, 0)
    assert node.load(("BTC/USD",), "1h", None, None, 3).n_rows == first.n_rows
    assert len(reads) == 1
    path.write_text("\n".join(rows[:4]) + "\n")
    assert node.load(("BTC/USD",), "1h", None, None, 0).n_rows == 3
    assert len(reads) == 2
