"""Mode `frontier`: what it writes, that it is what the data says, and what it refuses."""

import csv
import re

import numpy as np
import orjson
import pytest

from kraken_flow.app import main
from kraken_flow.core import optimisation

pytest.importorskip("skfolio")

SHORT = ["pairs=[BTC/USD,ETH/USD,LTC/USD]", "start=2021-02-01", "end=2021-03-01", "timeframe=4h", "run_dir=out"]


def test_table_csv_json_and_plot_agree(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["mode=frontier", "mode.points=6", *SHORT]) == 0
    shown = capsys.readouterr().out
    found = orjson.loads((tmp_path / "out" / "frontier.json").read_bytes())
    points = found["frontier"]
    assert len(points) == 6
    assert "synthetic sample market" in shown
    assert found["synthetic_sample"]
    assert [p["name"] for p in found["others"]] == ["equal weights", "inverse volatility", "risk parity"]
    with (tmp_path / "out" / "frontier.csv").open() as file:
        rows = list(csv.DictReader(file))
    for point, row in zip([*points, *found["others"]], rows, strict=True):
        assert row["portfolio"] == point["name"]
        assert float(row["annual_return"]) == point["annual_return"]
        assert float(row["ETH/USD"]) == point["weights"]["ETH/USD"]
        assert f"{point['annual_volatility']:.1%}" in shown
        assert sum(point["weights"].values()) == pytest.approx(1, abs=1e-5)
    returns, risks = (np.array([p[key] for p in points]) for key in ("annual_return", "annual_volatility"))
    assert (np.diff(returns) > 0).all()
    assert (np.diff(risks) > 0).all()
    # No portfolio beside it has less risk than the frontier at its return.
    for other in found["others"]:
        assert other["annual_volatility"] >= np.interp(other["annual_return"], returns, risks) * 0.995
    page = (tmp_path / "out" / "frontier.html").read_text("utf-8")
    assert not re.search(r"<(script|link)[^>]+(src|href)=", page)
    assert "inverse volatility" in page
    assert 'name="viewport"' in page  # without it a phone shows the page of a desk
    assert "<title>Efficient frontier" in page
    assert main(["mode=frontier", "mode.points=6", *SHORT, "report=json"]) == 0
    assert orjson.loads(capsys.readouterr().out) == found


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pairs=[BTC/USD]"], "one pair has no frontier"),
        (["mode.max_weight=0.3"], "3 pairs leave no choice; use more than 0.3333"),
        (["mode.min_weight=0.4"], "leaves no choice; use less than 0.3333"),
        (["mode.points=1"], "mode.points=1: must be"),
        (["end=2021-02-03"], "set start and end further apart"),
    ],
)
def test_what_is_refused(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    keys = {word.partition("=")[0] for word in words}
    assert main(["mode=frontier", *(word for word in SHORT if word.partition("=")[0] not in keys), *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert not (tmp_path / "out" / "frontier.json").exists()


def test_without_the_library_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(optimisation, "find_spec", lambda name: None)
    assert main(["mode=frontier", *SHORT]) == 2
    assert 'pip install --editable ".[optimise]"' in capsys.readouterr().err
