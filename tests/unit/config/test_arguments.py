import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.config.arguments import quoted, read, rewrite, split, typed
from kraken_flow.config.paths import GROUPS, SETTINGS

PARSER = OverridesParser.create()
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
SCALARS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["true", "false", "null", "1h", "2019-01-01", "2019-01-01T12:00:00Z", "on_change", "bars:3"]),
)


def parsed(overrides):
    return {o.key_or_group: o for o in PARSER.parse_overrides(list(overrides))}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("strategy.fast=5", ["++strategy.fast=5"]),
        ("exchange.fees.taker_bps=1.5", ["++exchange.fees.taker_bps=1.5"]),
        ("start=2019-01-01", ["++start=2019-01-01"]),
        ("run_dir=some/where", ["++run_dir=some/where"]),
        ("risk.position.stop_loss=null", ["++risk.position.stop_loss=null"]),
        ("exchange=bare", ["exchange=bare"]),
        ("pairs=majors", ["pairs=majors"]),
        ("pairs=[BTC/USD]", ["pairs=custom", "++pairs.names=[BTC/USD]"]),
        ("pairs=[BTC/USD,ETH/USD]", ["pairs=custom", "++pairs.names=[BTC/USD,ETH/USD]"]),
        ("pairs=BTC/USD,ETH/USD", ["pairs=custom", "++pairs.names=[BTC/USD,ETH/USD]"]),
        ("data.path=my files (2).csv", ["++data.path='my files (2).csv'"]),
        ("+strategy.fast=5", ["+strategy.fast=5"]),
        ("~exchange.slippage", ["~exchange.slippage"]),
        ("hydra.verbose=true", ["hydra.verbose=true"]),
    ],
)
def test_an_argument_is_rewritten_for_hydra(word, expected):
    found = read([word])
    assert (found.problems, found.overrides, found.multirun) == ([], expected, False)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("strategy.fast=5,10,20", ["++strategy.fast=5,10,20"]),
        ("exchange=bare,kraken", ["exchange=bare,kraken"]),
        ("pairs=[BTC/USD,ETH/USD],[SOL/USD]", ["pairs=custom", "++pairs.names=[BTC/USD,ETH/USD],[SOL/USD]"]),
        ("pairs=BTC/USD,ETH/USD", ["pairs=custom", "++pairs.names=[BTC/USD],[ETH/USD]"]),
        ("pairs=[BTC/USD,ETH/USD]", ["pairs=custom", "++pairs.names=[BTC/USD,ETH/USD]"]),
        ("strategy.fast=range(5,20,5)", ["++strategy.fast=range(5,20,5)"]),
    ],
)
@pytest.mark.parametrize("flag", ["-m", "--multirun"])
def test_a_sweep_keeps_its_values_apart(word, expected, flag):
    for words in ([flag, word], [word, flag]):
        found = read(words)
        assert (found.problems, found.overrides, found.multirun) == ([], expected, True)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("exchnge=kraken", "exchnge: no such key; there are mode, .* did you mean exchange=\\?"),
        ("timefame=1h", "did you mean timeframe=\\?"),
        ("stategy.fast=3", "stategy.fast: no such key; .* did you mean strategy.fast\\?"),
        ("exchange=krakn", "exchange=krakn: no such option; there are .*bare.* did you mean exchange=kraken\\?"),
        ("backtest", "'backtest' is not an argument: write key=value; did you mean mode=backtest\\?"),
        ("--mulitrun", "--mulitrun: no such flag; did you mean --multirun\\?"),
        ("--config-name", "--config-name needs a value"),
        ("=5", "=5: there is no key before the =; write key=value"),
        ('strategy.fast="5', 'strategy.fast="5: a bracket or quote is not closed'),
        ("strategy.fast=5,10", "strategy.fast=5,10 lists several values: add -m"),
        ("exchange=bare,kraken", "exchange=bare,kraken lists several values: add -m"),
        ("pairs=[A/B],[C/D]", "lists several values: add -m"),
        ("pairs=majors,BTC/USD", "mixes named lists and pairs"),
        ("timeframe.x=1", "timeframe.x: timeframe has no keys below it; write timeframe=1"),
        ("--config-dir=/nowhere/at/all", "there is no such folder"),
    ],
)
def test_what_cannot_be_read_is_said_with_the_nearest_name(word, says):
    import re

    found = read([word])
    assert len(found.problems) == 1
    assert re.search(says, found.problems[0])
    assert found.overrides == []


@pytest.mark.parametrize(
    ("words", "guess"),
    [
        ("mode=export format=csv", "mode.format=csv"),
        ("mode=export frmat=csv", "mode.format=csv"),
        ("out=x mode=export", "mode.out=x"),
        ("mode=replay run=runs/one", "mode.run=runs/one"),
        ("mode=paper speed=60x", "mode.speed=60x"),
        ("strategy=sma_cross fast=3", "strategy.fast=3"),
        ("mode=paper sed=3", "seed="),
        ("mode=nothing.known speed=60x", "seed="),
    ],
)
def test_a_key_of_a_chosen_option_is_found_without_its_group(words, guess):
    problems = [text for text in read(words.split()).problems if "no such key" in text]
    assert [text.partition("; did you mean ")[2] for text in problems] == [f"{guess}?"]


def test_all_problems_are_found_at_once_and_the_rest_is_kept():
    found = read(["exchnge=x", "strategy.fast=3", "timefame=1h", "seed=1", "seed=2"])
    assert found.overrides == ["++strategy.fast=3", "++seed=1"]
    assert [text.split(":")[0] for text in found.problems] == ["exchnge", "timefame", "seed is given twice"]


@given(st.lists(st.tuples(st.sampled_from(sorted(GROUPS)), NAMES, SCALARS), unique_by=lambda t: t[:2], max_size=6))
def test_every_scalar_survives_the_rewriting(triples):
    words = [f"{group}.{name}={value}" for group, name, value in triples]
    found = rewrite(words)
    assert found.problems == []
    assert found.given == words
    expected = {f"{group}.{name}": PARSER.parse_override(f"x={value}").value() for group, name, value in triples}
    got = parsed(found.overrides)
    assert {key: o.value() for key, o in got.items()} == expected
    assert all(o.is_force_add() for o in got.values())


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30))
def test_any_path_survives_the_rewriting(tail):
    path = f"/{tail}"
    if "${" in path:
        return
    found = rewrite([f"data.path={path}"])
    assert found.problems == []
    assert parsed(found.overrides)["data.path"].value() == path


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=30).filter(lambda s: "${" not in s)
)
def test_a_quoted_value_is_read_back(value):
    assert PARSER.parse_override(f"x={quoted(value)}").value() == value


@given(
    st.lists(st.lists(st.from_regex(r"[A-Z]{2,5}/USD", fullmatch=True), min_size=1, max_size=3), min_size=1, max_size=3)
)
def test_swept_lists_of_pairs_stay_lists(lists):
    typed = ",".join(f"[{','.join(pairs)}]" for pairs in lists)
    found = rewrite([f"pairs={typed}"], multirun=True)
    assert found.problems == []
    override = parsed(found.overrides)["pairs.names"]
    if len(lists) == 1:
        assert override.value() == lists[0]
    else:
        assert [PARSER.parse_override(f"x={text}").value() for text in override.sweep_string_iterator()] == lists
    assert found.members == len(lists)


@given(st.lists(st.text("ab1[](){},'\"", max_size=8), max_size=4))
def test_splitting_loses_nothing(parts):
    text = ",".join(parts)
    assert ",".join(split(text)) == text


@pytest.mark.parametrize(
    "words", [["strategy=hold", "strategy.fast=5", "pairs=[BTC/USD,ETH/USD]", "pairs.x=1", "seed=3"], ["pairs=btc"]]
)
def test_the_rewriting_can_be_undone(words):
    assert typed(rewrite(words).overrides) == words


def test_the_keys_of_the_run_are_what_config_yaml_says():
    from omegaconf import OmegaConf

    from kraken_flow.config.paths import DEFAULTS, own_conf

    shipped = OmegaConf.to_container(OmegaConf.load(own_conf() / "config.yaml"))
    assert {key: value for key, value in shipped.items() if key != "defaults"} == DEFAULTS
    assert [next(iter(entry)) for entry in shipped["defaults"] if isinstance(entry, dict)] == list(GROUPS)
    assert list(SETTINGS) == list(DEFAULTS)


def test_a_strategy_s_file_without_its_yaml_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies/oops.py").touch()
    (told,) = read(["strategy=oops"]).problems
    assert told.endswith("; strategies/oops.py is there, conf/strategy/oops.yaml is missing (mode=new writes both)")
