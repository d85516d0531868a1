"""What is composed from kept files is what Hydra composes, whatever is asked and whatever changes between the calls."""

import os
import random
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.base import Container

from hydra_plugins.kraken_flow import shared
from kraken_flow.config import composition
from kraken_flow.config.composition import own_hydra, plain, search_path
from kraken_flow.config.paths import CONF, own_conf

PICKING = """strategy=mine strategy=sma_cross strategy=deep/hidden strategy=nope +strategy=hold ~strategy risk=none
risk=default ~risk ~risk=default ~risk=none ~risk=3 risk=[] +risk@risk.more=none experiment=mine experiment=picked
+features=mine features@account.inner=mine features=[mine,none] report=null execution@_global_=market ++portfolio=kelly
portfolio=../strategy/hold pairs=custom nope=1 strategy.fast=wide strategy=aside hydra/job_logging=none hydra/nope=x"""
SETTING = """strategy.fast=3 ++strategy.fast=7 ++strategy.fast=07 +strategy.new=1 +strategy.new={a:1} ~strategy.fast
~strategy.fast=3 ~strategy.nope ++strategy={a:{b:1}} strategy={fast:4} ++pairs.names=[BTC/USD] ++timeframe=1h
timeframe=2h timeframe@x=3 ~timeframe +seed=1 ++seed=1 ++account.cash=${seed} ++a.b=${oc.env:KF_VALUE} ++a.b=${nope}
++a.b=${hydra.job.override_dirname} ++a.b=${hydra.overrides.task} ++a.c=${.b} ++a=1 ++a.b.c=1 ++a.b=[1,{c:2}]
+a.b=[3] ++a@b=1 ++run_dir='a,b' ++run_dir=??? ++run_dir=null risk={a:1} ++risk={b:${seed}} ~risk.position"""
REFUSED = """++seed=1,2 ++seed=range(1,3) ++seed=choice(1,2) strategy=hold,mine ++seed=[1,2 ++seed=shuffle([1,2,3])
++seed=int(3.5) seed=sort(3,1,2) ++ = seed"""
HYDRAS = """hydra.job.name=z ++hydra.job.env_set.A=1 hydra.job.env_copy=[KF_VALUE] hydra.searchpath=[file://aside]
hydra.job.config.override_dirname.exclude_keys=[seed] hydra={a:1} ~hydra.job.chdir hydra.nope=1"""
WORDS = " ".join((PICKING, SETTING, REFUSED, HYDRAS)).split()
MINE = (
    "fast: 5\nslow: ${timeframe}",
    "fast: 5\nslow: ${oc.env:KF_VALUE,none}\nasked: ${hydra.job.override_dirname}",
    "defaults: [hold, _self_]\nfast: 9",
    "defaults: [../risk/none, _self_]\nfast: 9",
    "defaults: [/features: mine]\nfast: 9",
    "defaults: ['hidden_${oc.env:KF_VALUE}', _self_]",
    "# @package _global_\nstrategy: {fast: 2}\nseed: 4",
    "fast: [",
    "- 3",
)
EXPERIMENTS = (
    "# @package _global_\ndefaults: [override /risk: none, override /strategy: mine]\nseed: 5",
    "# @package _global_\ndefaults: ['override /risk: ${oc.env:KF_VALUE}']",
    "# @package _global_\ntimeframe: 4h\nstrategy: ${risk}",
    "hydra: {searchpath: [file://aside]}",
)
CHANGES = st.one_of(
    st.tuples(st.just("conf/strategy/mine.yaml"), st.sampled_from(MINE)),
    st.tuples(st.just("conf/strategy/deep/hidden.yaml"), st.sampled_from(MINE[:3])),
    st.tuples(st.just("conf/features/mine.yaml"), st.sampled_from(MINE[:3])),
    st.tuples(st.just("conf/experiment/mine.yaml"), st.sampled_from(EXPERIMENTS)),
    st.tuples(st.just("conf/experiment/picked.yaml"), st.sampled_from(EXPERIMENTS)),
    st.tuples(st.just("conf/strategy.fast/wide.yaml"), st.just("a: 1")),
    st.tuples(st.just("conf/risk/default.yaml"), st.sampled_from(MINE[:2])),
    st.tuples(st.just("conf/config.yaml"), st.just("defaults: [strategy: hold]\nhydra: {searchpath: [file://aside]}")),
    st.tuples(st.just("aside/strategy/aside.yaml"), st.sampled_from(MINE[:2])),
    st.tuples(st.just(CONF), st.sampled_from(("aside", ""))),
    st.tuples(st.just("KF_VALUE"), st.sampled_from(("none", "conservative", "7"))),
)
CALLS = st.lists(
    st.tuples(st.lists(CHANGES, max_size=2), st.lists(st.sampled_from(WORDS), max_size=5)), min_size=1, max_size=4
)


def change(where, content):
    """Set a variable, or write a file; what is there already goes."""
    path = Path(where)
    if "/" not in where:
        os.environ[where] = content
    elif path.exists() and path.read_text() == content:
        path.unlink()
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def flags(node):
    """Return what may be written where: Hydra opens and closes parts of what it composes."""
    content = node._content if isinstance(node, Container) else ()
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    about = type(node).__name__, node._metadata.flags, node._metadata.object_type
    return *about, [flags(item) for item in inner]


def outcome(words, wrap):
    """Compose by Hydra with a loader around its own: the whole configuration, or what Hydra says is wrong."""
    random.seed(1)
    with search_path(), own_hydra(), initialize_config_dir(str(own_conf()), job_name="kraken_flow", version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        hydra.config_loader = wrap(hydra.config_loader)
        try:
            config = compose("config", overrides=list(words), return_hydra_config=True)
        except Exception as error:  # noqa: BLE001 - whatever Hydra raises is to be raised
            return type(error), str(error), repr(error.__cause__)
        return OmegaConf.to_container(config, resolve=False), flags(config), plain(config)


@given(CALLS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_kept_files_give_what_hydra_gives(calls):
    before, kept = Path.cwd(), dict(os.environ)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared, "_KNOWN", {})
        try:
            os.chdir(folder)
            for changes, words in calls:
                for where, content in changes:
                    change(where, content)
                expected = outcome(words, lambda loader: loader)
                assert outcome(words, shared.SharedComposition) == expected  # first from files
                assert outcome(words, shared.SharedComposition) == expected  # then from what was kept
        finally:
            os.chdir(before)
            os.environ.clear()
            os.environ.update(kept)


@pytest.fixture
def merged(monkeypatch, tmp_path):
    """Count how often files are merged."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shared, "_KNOWN", {})
    found = []
    merge = ConfigLoaderImpl._compose_config_from_defaults_list

    def counted(self, defaults, repo):
        found.append(len(defaults))
        return merge(self, defaults, repo)

    monkeypatch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", counted)
    return found


def test_values_are_set_without_reading_files_again(merged):
    for words in (
        ["risk=none"],
        ["risk=none", "++seed=1"],
        ["++seed=2", "risk=none", "~strategy.fast", "timeframe=1d"],
    ):
        outcome(words, shared.SharedComposition)
    assert len(merged) == 1
    outcome(["risk=default", "++seed=1"], shared.SharedComposition)
    assert len(merged) == 2


def test_a_change_of_the_working_directory_alone_reads_no_file_again(merged, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        os.chdir(tmp_path / name)
        expected = outcome(["risk=none"], lambda loader: loader)
        assert outcome(["risk=none"], shared.SharedComposition) == expected
        assert expected[0]["hydra"]["runtime"]["cwd"] == str(tmp_path / name)
    assert len(merged) == 3


def test_a_file_that_changes_is_read_again(merged, tmp_path):
    path = tmp_path / "conf/strategy/mine.yaml"
    path.parent.mkdir(parents=True)
    seen = []
    for fast in (5, 6):
        path.write_text(f"fast: {fast}\n")
        os.utime(path, ns=(1, 1))  # as copies that keep their times do
        seen.append(outcome(["strategy=mine"], shared.SharedComposition)[0]["strategy"]["fast"])
    assert seen == [5, 6]


def test_a_search_path_too_large_to_look_through_is_composed_anew(merged, monkeypatch):
    monkeypatch.setattr(shared, "MOST_FILES", 3)
    for seed in (1, 2):
        assert outcome([f"++seed={seed}"], shared.SharedComposition)[0]["seed"] == seed
    assert len(merged) == 2


def test_what_is_kept_is_bounded(merged, monkeypatch):
    monkeypatch.setattr(shared, "MOST_KEPT", 2)
    for options in ("none", "default", "var", "none"):
        outcome([f"risk={options}"], shared.SharedComposition)
    assert len(merged) == 4
    assert [len(known.composed) for known in shared._KNOWN.values()] == [2]


def test_threads_compose_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = [(seed, risk) for seed in range(12) for risk in ("none", "default")]

    def asked(pair):
        cfg = composition.compose([f"seed={pair[0]}", f"risk={pair[1]}"])
        return cfg["seed"], "none" if cfg["risk"].get("position") else "default"

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(asked, wanted)) == wanted
    finally:
        sys.setswitchinterval(before)
