"""The rules of the house that no linter knows."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kraken_flow import __version__

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for folder in ("kraken_flow", "hydra_plugins", "strategies", "rust/core", "rust/bindings", "tests", "examples")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".rs"}
]


def test_no_file_is_longer_than_the_house_allows():
    def cap(path: Path) -> int:
        return 800 if "tests" in path.relative_to(ROOT).parts else 500

    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {name: n for name, n in lengths.items() if n > cap(ROOT / name)} == {}


def test_an_exemption_from_a_check_has_its_reason_beside_it():
    bare = re.compile(r"#\s*(type:\s*ignore(\[[\w, -]+\])?|noqa(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)?)\s*$")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        if path.suffix == ".py" and path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if bare.search(line)
    ]
    assert found == []


def test_nothing_unfinished_is_left():
    word = re.compile("TO" + "DO|FIX" + "ME|NotImplemented" + "Error")
    assert [str(path.relative_to(ROOT)) for path in SOURCES if word.search(path.read_text("utf-8"))] == []


def test_both_distributions_have_one_version():
    workspace = tomllib.loads((ROOT / "rust" / "Cargo.toml").read_text("utf-8"))
    assert workspace["workspace"]["package"]["version"] == __version__


@pytest.mark.parametrize("name", ["core", "build", "dev"])
def test_a_lock_pins_and_hashes_every_line_and_names_no_address(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line]
    assert lines
    for line in lines:
        assert re.match(r"^[A-Za-z0-9._\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line[:80]
    assert "://" not in text


def test_the_locks_agree_on_every_version():
    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / f"requirements/{name}.txt").read_text("utf-8"), re.M))

    everything = pins("dev")
    for name in ("core", "build"):
        assert {package: everything.get(package) for package in pins(name)} == pins(name)


@pytest.mark.parametrize("folder", ["strategies", "hydra_plugins"])
def test_a_namespace_has_no_init_file(folder):
    assert not (ROOT / folder / "__init__.py").exists()


def test_importing_the_package_loads_no_library():
    code = (
        "import sys; before = set(sys.modules); import kraken_flow;"
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 (our own interpreter and text)
    assert set(done.stdout.split()) <= {"kraken_flow"} | set(sys.stdlib_module_names)


@pytest.mark.parametrize(("words", "home"), [("difflib", "nearest.py"), ("file_digest", "core/hashes.py")])
def test_names_are_compared_and_files_hashed_in_one_place(words, home):
    package = ROOT / "kraken_flow"
    found = [path.relative_to(package).as_posix() for path in package.rglob("*.py") if words in path.read_text("utf-8")]
    assert found == [home]
