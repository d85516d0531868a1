"""Which changed sources make an audit old: those of the system, and whatever the audit itself had loaded."""

import importlib

import pytest

from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.runs.certificate import graph_key, issue, node_sources, standing


@pytest.mark.parametrize("listed", [True, False])
def test_a_node_beside_the_system_counts_where_the_audit_had_loaded_it(tmp_path, listed):
    graph = build(compose(["strategy=sma_cross"]))
    beside = importlib.import_module("strategies.momentum").__name__
    sources = node_sources()
    assert beside in sources
    sources = sources | {beside: "0" * 64} if listed else {k: v for k, v in sources.items() if k != beside}
    content = {"made": "2026-11-21T00:00:00Z", "run": "a", "system": "passed", "sources": sources}
    issue(tmp_path, content | {"graph_sha256": graph_key(graph)}, tmp_path)
    found = standing(graph, tmp_path)
    assert found["audited"] is not listed
    assert (f"{beside} changed since" in found["why"]) is listed
