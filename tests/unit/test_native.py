import sys
from types import ModuleType

import pytest

from kraken_flow import __version__
from kraken_flow.native import MODULE, SWITCH, load


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in extension, so that these tests say the same with and without a build."""
    monkeypatch.delenv(SWITCH, raising=False)
    module = ModuleType(MODULE)
    module.version = lambda: __version__
    monkeypatch.setitem(sys.modules, MODULE, module)
    return module


def test_an_extension_of_the_same_version_is_used(extension):
    assert load() == (extension, "")


def test_another_version_is_refused_and_both_are_named(extension):
    extension.version = lambda: "9.9.9"
    module, reason = load()
    assert module is None
    assert "9.9.9" in reason
    assert __version__ in reason


def test_the_switch_turns_it_off(extension, monkeypatch):
    monkeypatch.setenv(SWITCH, "off")
    module, reason = load()
    assert module is None
    assert f"{SWITCH}=off" in reason


def test_a_missing_extension_says_how_to_get_it(extension, monkeypatch):
    monkeypatch.setitem(sys.modules, MODULE, None)
    module, reason = load()
    assert module is None
    assert "make build" in reason


def test_the_built_extension_states_how_it_was_built():
    module, reason = load()
    if module is None:
        pytest.skip(reason)
    info = module.build_info()
    assert info["version"] == __version__
    assert info["profile"] == "release"
