"""What a user's own strategy file may have wrong, and what is said of it."""

import json
from pathlib import Path

import pytest

from kraken_flow.core import blame

HEAD = """import sys
from kraken_flow.core import Strategy, node
from kraken_flow.features import Ema, Sma

"""
BODY = """@node
class Mine(Strategy):
    def features(self):
        {features}

    def forecast(self, f):
        {forecast}
"""
SMALL = ("pairs=[BTC/USD,ETH/USD]", "timeframe=1d", "end=2021-03-01")


@pytest.fixture
def mine(program):
    """Write a strategy of its own module and run it; the file's name is `program.file`."""

    def run(name, text, *words):
        program.write(f"conf/strategy/{name}.yaml", f"_target_: strategies.{name}.Mine\n")
        program.file = f"strategies/{name}.py"
        program.write(program.file, text)
        code = program(f"strategy={name}", *SMALL, *words)
        assert "Traceback" not in program.err
        return code, program.err.splitlines()

    return run


DECLARED = {
    "misspelt": (
        'return {"a": Ema("clsoe", 12)}',
        "line 8: Mine.features: Ema.source=clsoe: must be open, high, low, close, volume, funding, mark or a feature; "
        "did you mean Ema.source=close?",
    ),
    "range": ('return {"a": Sma("close", -3)}', "line 8: Mine.features: Sma.window=-3: must be a whole number above 0"),
    "keyword": (
        'return {"a": Sma("close", windw=3)}',
        "line 8: Mine.features: Sma.windw=3: no such key; Sma has source, window; did you mean Sma.window?",
    ),
    "too_many": (
        'return {"a": Sma("close", 3, 4)}',
        "line 8: Mine.features: Sma: takes 2 arguments at most: source, window",
    ),
    "list": ('return [Sma("close", 3)]', "line 7: Mine.features returned a list: it must be a mapping of names to"),
    "nothing": ('{"a": "close"}', "line 7: Mine.features returned nothing: end it with return"),
    "number": (
        'return {"a": 5}',
        "line 7: Mine.features: a is a int: must be a feature or one of the columns open, high,",
    ),
    "column": (
        'return {"a": "clsoe"}',
        "line 7: Mine.features: a=clsoe: must be a feature or one of the columns open, high, low, close, volume, "
        "funding, mark; did you mean close?",
    ),
    "class": ('return {"a": Sma}', "line 7: Mine.features: a=Sma: is a class of features; make one of it"),
    "name": ('return {"a b": "close"}', "line 7: Mine.features: the name 'a b' must be a name of Python"),
    "raises": ('return {"a": Sma("close", slef.fast)}', "line 8: Mine.features: NameError: name 'slef' is not defined"),
    "exits": ("sys.exit()", "line 8: Mine.features calls sys.exit(), which would end the whole program"),
}


@pytest.mark.parametrize(("features", "says"), DECLARED.values(), ids=DECLARED)
def test_what_features_returns_is_checked_before_the_run(mine, features, says, request):
    name = "declared_" + request.node.callspec.id
    code, said = mine(name, HEAD + BODY.format(features=features, forecast="return f.a * 0"))
    assert code == 2
    assert len(said) == 1
    assert said[0].startswith(f"error: strategies/{name}.py, {says}")
    assert not Path("runs").exists()


def test_all_that_is_wrong_with_what_is_read_is_told_with_the_rest(mine):
    text = HEAD + BODY.format(features='return {"a": 1, "b": "hihg"}', forecast="return f.a * 0")
    code, said = mine("declared_twice", text, "engine=rst")
    assert code == 2
    assert len(said) == 3
    assert said[0].startswith("error: engine=rst")
    assert said[2].endswith("did you mean high?")


FORGOTTEN = {
    "decorator": (HEAD + BODY.replace("@node\n", ""), "write @node in the line above class Mine"),
    "base": (HEAD + "class Mine:\n    pass\n", "Mine is no strategy: write @node and class Mine(Strategy)"),
    "fields": (
        HEAD + "from strategies.hold import Hold\n\n\nclass Mine(Hold):\n    fast: int = 3\n",
        "write @node in the line above class Mine",
    ),
}


@pytest.mark.parametrize(("text", "says"), FORGOTTEN.values(), ids=FORGOTTEN)
def test_a_forgotten_node_is_said_plainly(mine, text, says, request):
    text = text.format(features="return {}", forecast="return 0.0") if "{features}" in text else text
    code, said = mine("forgotten_" + request.node.callspec.id, text)
    assert code == 2
    assert len(said) == 1
    assert says in said[0]


def test_a_class_that_is_no_node_yet_takes_no_arguments():
    from kraken_flow.core import Strategy

    class Mine(Strategy):
        fast: int = 3

    with pytest.raises(TypeError, match="write @node in the line above class Mine"):
        Mine(fast=5)


@pytest.mark.parametrize("mode", ["backtest", "replay", "paper", "audit"])
def test_an_exit_in_a_forecast_names_its_line_and_ends_as_wrong_input(mine, mode):
    text = HEAD + BODY.format(features='return {"a": "close"}', forecast="sys.exit(3)")
    code, said = mine(f"exits_in_{mode}", text, "run_dir=out", f"mode={mode}")
    assert code == 2
    assert len(said) == 1
    assert said[0].startswith(f"error: strategies/exits_in_{mode}.py, line 11: calls sys.exit()")
    if mode != "replay":  # its folder is taken when the replay is done
        assert json.loads(Path("out/manifest.json").read_text())["status"] == "failed"


def test_an_exit_in_one_member_of_a_sweep_loses_no_other(mine, program):
    text = HEAD + "\n" + BODY.format(features='return {"a": "close"}', forecast="sys.exit(3)")
    mine("exits_member", text)
    assert program("-m", "strategy=hold,exits_member", *SMALL) == 1
    assert "exits_member.py, line 12: calls sys.exit()" in program.out
    assert "hold: sharpe" in program.out


def test_an_exit_on_import_is_said_so(mine, program):
    code, said = mine("exits_import", "import sys\n\nsys.exit('no')\n")
    assert code == 2
    assert "strategies/exits_import.py, line 3: strategies.exits_import cannot be imported: calls sys.exit()" in said[0]


def test_what_a_class_raises_when_it_is_made_is_told(mine):
    text = (
        HEAD
        + BODY.format(features="return {}", forecast="return 0.0")
        + "\n    def __post_init__(self):\n        1 / 0\n"
    )
    code, said = mine("raises_made", text)
    assert code == 2
    assert said == [
        "error: strategy: strategies/raises_made.py, line 14: Mine cannot be made: ZeroDivisionError: division by zero"
    ]


ANSWERS = {
    "undeclared": ("f.slwo", "line 11: Mine.forecast reads f.slwo, and fast, slow is declared; did you mean f.slow?"),
    "decides": ("1.0 if f.fast > f.slow else 0.0", "line 11: Mine.forecast decides by `if`, `and`, `or` or `not`"),
    "three": ("(f.fast, f.fast, f.fast)", "Mine.forecast returned 3 things: return the forecast, or forecast and"),
    "word": ('"long"', "Mine.forecast returned 'long': it must be numbers from -1 to 1, one for each row"),
    "mapping": ("{}", "Mine.forecast returned {}: it must be numbers"),
}


@pytest.mark.parametrize("mode", ["backtest", "replay"])
@pytest.mark.parametrize(("answer", "says"), ANSWERS.values(), ids=ANSWERS)
def test_a_wrong_answer_is_told_in_terms_of_the_strategy(mine, mode, answer, says, request):
    features = 'return {"fast": "close", "slow": Sma("close", 3)}'
    name = f"answers_{request.node.callspec.id.replace('-', '_')}"
    code, said = mine(name, HEAD + BODY.format(features=features, forecast=f"return {answer}"), f"mode={mode}")
    assert code == 2
    assert len(said) == 1
    assert said[0].removeprefix("error: ").removeprefix(f"strategies/{name}.py, ").startswith(says)


RAISED = {
    "key": ('{}["nothing"]', "KeyError: 'nothing'"),
    "library": ("np.linalg.inv(np.zeros((2, 2)))", "LinAlgError: Singular matrix"),
    "ours_called": ("Sma('close', 3).nothing", "AttributeError: 'Sma' object has no attribute 'nothing'"),
}


@pytest.mark.parametrize("mode", ["backtest", "replay", "paper"])
@pytest.mark.parametrize(("answer", "says"), RAISED.values(), ids=RAISED)
def test_what_a_forecast_raises_is_the_user_s_and_named_by_its_line(mine, program, mode, answer, says, request):
    name = f"raised_{request.node.callspec.id.replace('-', '_')}"
    text = "import numpy as np\n" + HEAD + BODY.format(features='return {"a": "close"}', forecast=f"return {answer}")
    code, said = mine(name, text, f"mode={mode}", "run_dir=out")
    told = f"strategies/{name}.py, line 12: {says}"
    assert (code, said) == (2, [f"error: {told} (LOG_LEVEL=DEBUG shows the traceback)"])
    if mode == "backtest":
        assert json.loads(Path("out/manifest.json").read_text())["error"]["message"] == told
        assert program("mode=report", "mode.run=out") == 2
        assert program.err == f"error: mode.run=out: the run is not finished, its manifest says failed ({told})\n"
        program.write("conf/strategy/idle.yaml", f"_target_: strategies.{name}.Mine\n")
        assert program("-m", "strategy=hold,idle", *SMALL, "run_dir=swept") == 1
        assert f"failed: {told}\n" in program.out


def test_an_error_of_ours_below_a_line_of_the_user_s_stays_unexpected(mine, monkeypatch):
    def broken(*given):
        raise RuntimeError("broken")

    monkeypatch.setattr(blame, "_OURS", Path(__file__).parent)
    monkeypatch.setattr("kraken_flow.core.where", broken)
    text = HEAD + BODY.format(features='return {"a": "close"}', forecast="import kraken_flow.core as c; c.where()")
    code, said = mine("raised_ours", text, "run_dir=out")
    assert code == 1
    assert said == ["error: unexpected RuntimeError: broken (strategies/raised_ours.py, line 11)"]
    assert json.loads(Path("out/manifest.json").read_text())["error"]["message"] == "broken"
