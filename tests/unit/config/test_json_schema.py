"""The schema for editors takes what the program takes, and refuses what it refuses."""

import json
import re

import pytest
from omegaconf import OmegaConf

from kraken_flow.config import check, compose
from kraken_flow.config.json_schema import json_schema
from kraken_flow.config.paths import GROUPS, own_conf
from kraken_flow.config.schema import fields_of

SCHEMA = json_schema()
SHIPPED = sorted(own_conf().rglob("*.yaml"))
TYPES = {"integer": int, "number": (int, float), "string": str, "boolean": bool, "null": type(None)}
TYPES |= {"array": list, "object": dict}


def holds(value, schema):
    """Whether a value conforms: the part of JSON schema, draft 7, that the schema uses."""
    if "$ref" in schema:
        return holds(value, SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]])
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, TYPES[k]) and (k == "boolean") >= isinstance(value, bool) for k in kinds):
        return False
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        return False
    if isinstance(value, int | float) and not (
        schema.get("exclusiveMinimum", float("-inf")) < value < schema.get("exclusiveMaximum", float("inf"))
        and schema.get("minimum", value) <= value <= schema.get("maximum", value)
    ):
        return False
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        return False
    if isinstance(value, list) and not all(holds(item, schema.get("items", {})) for item in value):
        return False
    if isinstance(value, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties", {})
        if any(name not in value for name in schema.get("required", [])):
            return False
        for name, item in value.items():
            if name not in known and other is False:
                return False
            if not holds(item, known.get(name, other)):
                return False
    if "if" in schema and not holds(value, schema.get("then" if holds(value, schema["if"]) else "else", {})):
        return False
    if not all(holds(value, part) for part in schema.get("allOf", [])):
        return False
    return any(holds(value, part) for part in schema["anyOf"]) if "anyOf" in schema else True


def as_json(path):
    """Read YAML as an editor sees it: the keys of a mapping are texts."""
    return json.loads(json.dumps(OmegaConf.to_container(OmegaConf.load(path))))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.relative_to(own_conf()).as_posix())
def test_every_shipped_file_conforms(path):
    assert holds(as_json(path), SCHEMA)


RIGHT = [
    {"strategy": "sma_cross", "pairs": ["BTC/USD"], "timeframe": "4h", "account": {"cash": 500}},
    {"risk": {"position": {"stop_loss": None}}, "account": {"cash": "${oc.env:CASH}"}, "engine": "python"},
    {"strategy": {"_target_": "strategies.sma_cross.SmaCross", "fast": 3}},
    {"_target_": "strategies.mine.Mine", "whatever": 3},
    {"portfolio": {"volatility": {"window": 60}}},
]
WRONG = [
    {"strategy": "sma_cros"},
    {"timefarme": "4h"},
    {"account": {"cash": 0}},
    {"account": {"cash": "lots"}},
    {"risk": {"position": {"stop_los": 0.1}}},
    {"risk": {"position": {"stop_loss": 1.5}}},
    {"strategy": {"_target_": "strategies.sma_cross.SmaCross", "fats": 3}},
    {"exchange": {"fees": {"taker_bps": 1e30}}},
    {"exchange": {"fill": {"limit": "tuch"}}},
    {"engine": "rst"},
    {"seed": -1},
]


@pytest.mark.parametrize("content", RIGHT, ids=str)
def test_what_is_right_conforms(content):
    assert holds(content, SCHEMA)


@pytest.mark.parametrize("content", WRONG, ids=str)
def test_what_the_program_refuses_does_not_conform(content):
    assert not holds(content, SCHEMA)


def test_every_key_is_documented_with_its_default():
    cfg = compose()
    graph = check(cfg).graph
    for group in ("exchange", "account", "risk", "portfolio"):
        known = SCHEMA["definitions"][cfg[group]["_target_"]]["properties"]
        for field in fields_of(type(getattr(graph, group))).values():
            assert known[field.name]["description"] == field.doc
    assert SCHEMA["definitions"]["strategies.sma_cross.SmaCross"]["properties"]["fast"]["default"] == 10
    assert set(GROUPS) <= set(SCHEMA["else"]["else"]["properties"])
