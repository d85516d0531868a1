import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from kraken_flow.config import build, compose
from kraken_flow.config.json_schema import json_schema
from kraken_flow.config.paths import GROUPS, options, own_conf, summary
from kraken_flow.config.schema import allowed, fields_of
from kraken_flow.modes.diagram import boxes, svg


def test_list_shows_every_option_with_its_line(program):
    assert program("mode=list") == 0
    for group in GROUPS:
        for name, path in options(group).items():
            assert f"  {name} " in program.out
            assert summary(path) in program.out


def test_list_of_one_group_shows_its_keys(program):
    assert program("mode=list", "mode.group=risk") == 0
    assert "  risk.position.stop_loss: a number above 0 and at most 1 or null; default 0.03. " in program.out
    assert "strategy" not in program.out.split("risk:")[0]
    assert program("mode=list", "mode.group=rsk") == 2
    assert program.err.endswith("did you mean mode.group=risk?\n")


@pytest.mark.parametrize("group", [group for group in GROUPS if group not in {"pairs", "report", "experiment"}])
def test_list_writes_every_default_as_a_user_would(program, group):
    assert program("mode=list", f"mode.group={group}") == 0
    assert not any(word in program.out for word in ("annotation=", "<", "MISSING", "object at"))


def test_list_writes_a_schema_for_editors_over_its_own_alone(program):
    for _ in range(2):
        assert program("mode=list", "mode.schema=made/kraken.json") == 0
        assert program.out.splitlines()[-1] == "# yaml-language-server: $schema=made/kraken.json"
    assert json.loads((program.folder / "made/kraken.json").read_text()) == json_schema()
    program.write("mine.json", "{}")
    assert program("mode=list", "mode.schema=mine.json") == 2
    assert program.err == "error: mode.schema=mine.json: is there, and is no schema of ours; choose another file\n"
    assert program("mode=list", "mode.schema=mine.json/made.json") == 2
    assert program.err.startswith("error: mode.schema=mine.json/made.json: cannot be written (")


def test_list_works_where_the_rest_is_wrong(program):
    assert program("mode=list", "timeframe=1x", "strategy.fats=3") == 0


@pytest.mark.parametrize("group", [group for group in GROUPS if group != "experiment"])
def test_every_option_has_a_line_of_its_own(group):
    lines = [summary(path) for path in options(group).values()]
    assert all(lines)
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize(
    "path", sorted(own_conf().glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}={path.stem}"
)
def test_the_line_of_an_option_of_ours_is_whole(path):
    assert re.search(r'(\.|pip install "kraken-flow\[\w+\]")$', summary(path)), summary(path)


def test_describe_shows_every_key_with_value_default_and_origin(program):
    program.write("conf/strategy/mine.yaml", "_target_: strategies.sma_cross.SmaCross\nfast: 7\n")
    assert program("mode=describe", "strategy=mine", "risk.position.stop_loss=0.035", "exchange=bare") == 0
    rows = {line.split()[0]: line.split() for line in program.out.splitlines() if line.strip()}
    assert rows["strategy.fast"][1:4] == ["7", "10", "conf/strategy/mine.yaml"]
    assert rows["strategy.slow"][1:4] == ["30", "same", "default"]
    assert rows["risk.position.stop_loss"][1:5] == ["0.035", "0.03", "command", "line"]
    assert rows["timeframe"][1:4] == ["1h", "same", "conf/config.yaml"]
    graph = build(compose(["strategy=sma_cross", "exchange=bare"]))
    for group in ("exchange", "account", "portfolio", "risk", "execution"):
        for name in fields_of(type(getattr(graph, group))):
            assert any(key.startswith(f"{group}.{name}") for key in rows), name
    for title in ("data", "feature", "strategy", "portfolio", "risk", "execution", "exchange"):
        assert f"─ {title} ─" in program.out
    assert ElementTree.parse(program.folder / "graph.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own file


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_describe_says_what_each_key_means_however_narrow_the_terminal(program, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert program("mode=describe", "risk.position.stop_loss=0.035") == 0
    assert max(map(len, program.out.splitlines())) <= columns
    said = " ".join(program.out.split())
    graph = build(compose())
    if columns < 150:
        docs = [f.doc for node in (graph.exchange.fill, graph.risk.position) for f in fields_of(type(node)).values()]
        assert [doc for doc in docs if doc not in said] == []
        assert "risk.position.stop_loss = 0.035 command line (default 0.03): Distance of the stop" in said
        assert "timeframe = 1h conf/config.yaml: the decision bar" in said
    else:
        assert "key value default from meaning" in said


def test_describe_draws_where_it_is_told_and_overwrites_only_its_own(program):
    assert program("mode=describe", "run_dir=out") == 0
    assert program("mode=describe", "run_dir=out") == 0
    assert program("mode=describe", "mode.svg=a/b.svg") == 0
    assert sorted(str(p.relative_to(program.folder)) for p in program.folder.rglob("*.svg")) == [
        "a/b.svg",
        "out/graph.svg",
    ]
    program.write("graph.svg", "<svg/>")
    assert program("mode=describe") == 2
    assert "graph.svg is not a drawing of ours" in program.err
    assert (program.folder / "graph.svg").read_text() == "<svg/>"


@pytest.mark.parametrize("strategy", ["sma_cross", "combined"])
def test_the_drawing_has_a_box_per_node_and_an_arrow_per_thing_read(strategy):
    graph = build(compose([f"strategy={strategy}", "portfolio=inverse_vol"]))
    drawn = boxes(graph)
    assert all(drawn[other].layer < box.layer for box in drawn.values() for other in box.reads)
    assert {"data", "strategy", "portfolio", "risk", "execution", "exchange"} <= set(drawn)
    assert [name for name, box in drawn.items() if box.layer == 0] == ["data"]
    root = ElementTree.fromstring(svg(drawn))  # noqa: S314 - made two lines above
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}rect")) == len(drawn) + 1
    assert len(root.findall(f"{space}path")) == sum(len(box.reads) for box in drawn.values())
    assert len([name for name in drawn if name.startswith("strategy.")]) == len(graph.strategy.parts())


def test_a_scaffold_runs_and_its_test_passes(program):
    assert program("mode=new", "mode.name=my_idea") == 0
    made = sorted(str(path.relative_to(program.folder)) for path in program.folder.rglob("*.*"))
    assert made == ["conf/strategy/my_idea.yaml", "strategies/my_idea.py", "tests/test_my_idea.py"]
    assert program("strategy=my_idea", "pairs=[BTC/USD]", "timeframe=1d", "run_dir=out") == 0
    assert program("strategy=my_idea", "strategy.fats=3") == 2
    assert "MyIdea has fast, slow; did you mean strategy.fast?" in program.err
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    env = {"PYTHONPATH": str(own_conf().parent), "PATH": ""}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)  # noqa: S603 - our own scaffold
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert program("mode=new", "mode.name=my_idea") == 2
    assert "strategies/my_idea.py, conf/strategy/my_idea.yaml, tests/test_my_idea.py exists" in program.err


def test_the_test_of_a_strategy_in_the_checkout_needs_nothing_but_pytest():
    block = "import sys; sys.modules['hypothesis'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    page = "tests/unit/test_docs.py"
    words = [sys.executable, "-c", block, "-q", "-p", "no:cacheprovider", page, "-k", "index_lists"]
    env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": ""}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env, cwd=own_conf().parent)  # noqa: S603 - our own words
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["Bad", "two words", "1st", "class", "json", "../evil", "sma_cross", "a-b"])
def test_a_scaffold_refuses_bad_and_taken_names(program, name):
    assert program("mode=new", f"mode.name={name}") == 2
    assert f"mode.name={name}: " in program.err
    assert not list(program.folder.iterdir())


def test_a_scaffold_needs_a_name(program):
    assert program("mode=new") == 2
    assert program.err.startswith("error: mode.name: must be given; it is text (Name of the strategy: ")


def test_what_a_field_allows_is_said_in_words():
    graph = build(compose())
    words = {name: allowed(field.hint) for name, field in fields_of(type(graph.exchange.fees)).items()}
    assert words == {
        "maker_bps": "a number at least -1000000 and at most 1000000 or null",
        "taker_bps": "a number at least -1000000 and at most 1000000 or null",
        "currency": "quote, base",
        "tiers": "a mapping",
    }
    assert all(
        field.doc for node in (graph.exchange, graph.account, graph.risk) for field in fields_of(type(node)).values()
    )


def test_every_text_of_the_drawing_fits_its_box():
    graph = build(compose(["mode=backtest", "strategy=combined"]))
    root = ElementTree.fromstring(svg(boxes(graph)))  # noqa: S314 - made by the call before
    space = "{http://www.w3.org/2000/svg}"
    rects = [r.attrib for r in root.findall(f"{space}rect") if "x" in r.attrib]
    boxed = [{key: float(rect[key]) for key in ("x", "y", "width", "height")} for rect in rects]
    texts = root.findall(f"{space}text")
    assert texts
    for text in texts:
        x, y = float(text.attrib["x"]), float(text.attrib["y"])
        (box,) = [b for b in boxed if 0 <= x - b["x"] <= b["width"] and 0 <= y - b["y"] <= b["height"]]
        assert x + 6.7 * len(text.text or "") <= box["x"] + box["width"]
