"""What MkDocs asks while it builds the site: pages made from code and configuration, and pages from above docs/.

Every page below `reference/` is made here, so that a key, an option or a feature cannot be missing from it.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from kraken_flow import features
from kraken_flow.config import compose
from kraken_flow.config.nodes import node_class
from kraken_flow.config.paths import DEFAULTS, GROUPS, SETTINGS, options, summary, target_of
from kraken_flow.config.schema import REQUIRED, Field, allowed, dataclass_in, fields_of, is_mapping, written
from kraken_flow.core.feature import Feature

ROOT = Path(__file__).parents[1]
ABOVE = ("CHANGELOG.md", "CONTRIBUTING.md")
"""Pages that stand beside the README and belong to the site too."""
PICKED = dict(re.findall(r"^  - (\w+): (\w+)", (ROOT / "conf/config.yaml").read_text("utf-8"), re.M))
"""The option of each group that is taken where none is named."""
TABLE = re.compile(r"<table>(.*?)</table>", re.S)
CELL = re.compile(r"<td(.*?)>(?=(.*?)</td>)", re.S)
CODE = re.compile(r'<div class="highlight">(?=<pre>(?:<span></span>)?<code>(.*?)</code>)', re.S)
COMMANDS = ("python ", ".venv/", "make ", "pip ", "kraken-flow ", "source ", "$ ", "error: ", " ")
"""How the lines of a block begin that holds nothing but commands, their continuations and the errors they give."""
PYTHON = re.compile(
    r"(?<=\n\n)(?=    (?:from|import|@node|r = |frames = |returns = |portfolio = |check_))(?:    .*\n|\n(?=    ))+"
)
"""Indented Python, as a terminal shows it best; on the site it has colours."""
API = {
    "Running": (
        "kraken_flow.api.backtest",
        "kraken_flow.api.BacktestResult",
        "kraken_flow.api.load_run",
        "kraken_flow.modes.loaded.LoadedRun",
        "kraken_flow.runs.views.RunView",
        "kraken_flow.runs.views.Frames",
    ),
    "Writing a strategy": ("kraken_flow.core.strategy.Strategy", "kraken_flow.core.node.node"),
    "Writing a feature": ("kraken_flow.core.feature.Feature", "kraken_flow.core.feature.State"),
    "Writing a portfolio or a risk rule": (
        "kraken_flow.core.account.Portfolio",
        "kraken_flow.core.account.Risk",
        "kraken_flow.core.account.View",
    ),
    "Asking about one order": ("kraken_flow.risk.answer.answer",),
    "Testing": ("kraken_flow.testing.check_strategy",),
    "Errors": ("kraken_flow.core.errors.UserError",),
}
"""What a program may rely on, by what it is wanted for."""


def cell(text: object) -> str:
    """Write text so that a table's cell holds it as it is."""
    return re.sub(r"\s+", " ", str(text)).replace("|", "\\|").replace("<", "&lt;").strip()


def sentences(doc: str | None) -> str:
    """Return the prose of a docstring: what comes before its first section."""
    return re.split(r"\n\s*\w[\w ]*\n\s*-{3,}", inspect.cleandoc(doc or ""))[0].strip()


def keys(path: str, cls: Any, said: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table row for each key below a class, nested ones by full path; `said` is what the file sets."""
    for field in fields_of(cls).values():
        key = f"{path}.{field.name}"
        inner = dataclass_in(field.hint)
        value = said.get(field.name)
        if inner is not None and not is_mapping(field.hint):
            yield from keys(key, inner, value if isinstance(value, Mapping) else {})
            continue
        yield row(key, field, value if field.name in said else field.default)


def row(key: str, field: Field, default: Any) -> str:
    """Return the table row of a key."""
    if isinstance(default, Mapping):
        shown = "see the file" if default else "`{}`"
    else:
        shown = "must be given" if default is REQUIRED else f"`{cell(written(default))}`"
    return f"| `{key}` | {cell(allowed(field.hint))} | {shown} | {cell(field.doc)} |"


def group_page(group: str) -> str:
    """Return the page of one config group: its options, each with its keys and its file."""
    found, picked = options(group), PICKED.get(group)
    known = {name: found[name] for name in sorted(found, key=lambda name: (name != picked, name))}
    lines = [f"# {group}", "", f"{GROUPS[group][0].upper()}{GROUPS[group][1:]}.", ""]
    lines += ["| option | what it is |", "|---|---|"]
    lines += [
        f"| [`{group}={name}`](#{name}) | {cell(summary(path))}{' The default.' if name == picked else ''} |"
        for name, path in known.items()
    ]
    shown: dict[str, tuple[str, list[str]]] = {}
    for name, path in known.items():
        lines += ["", f"## {name} {{ #{name} }}", "", summary(path), ""]
        lines += _keys_of(group, name, path, shown)
        lines += ['??? note "the file"', "", "    ```yaml"]
        lines += [f"    {line}" for line in path.read_text("utf-8").rstrip().splitlines()]
        lines += ["    ```"]
    return "\n".join(lines) + "\n"


def _keys_of(group: str, name: str, path: Path, shown: dict[str, tuple[str, list[str]]]) -> list[str]:
    """Return the table of an option's keys; of a class that is on the page already, the rows that are others."""
    target = target_of(path)
    if target is None:
        return []
    problems: list[str] = []
    cls = node_class(target, group, None, problems)
    if cls is None:
        raise RuntimeError(f"{path}: {'; '.join(problems)}")
    said = compose([f"{group}={name}"])[group] or {}
    rows = list(keys(group, cls, said))
    head = [f"`{target}`", ""]
    if not rows:
        return head
    first, known = shown.setdefault(target, (name, rows))
    if first != name:
        rows = [row for row in rows if row not in known]
        head += [
            f"The keys of [`{group}={first}`](#{first}), " + ("with other defaults:" if rows else "as they are."),
            "",
        ]
    return [*head, "| key | allowed | default | meaning |", "|---|---|---|---|", *rows, ""] if rows else head


def run_page() -> str:
    """Return the page of the keys that stand beside the groups."""
    lines = [
        "# Keys of the run",
        "",
        "These stand beside the groups.",
        "",
        "| key | default | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| `{key}` | `{written(DEFAULTS[key])}` | {cell(about)} |" for key, about in SETTINGS.items()]
    lines += ["", "## Groups", "", "| group | decides |", "|---|---|"]
    lines += [f"| [`{group}`]({group}.md) | {cell(about)} |" for group, about in GROUPS.items()]
    return "\n".join(lines) + "\n"


def feature_classes() -> list[type[Feature]]:
    """Return the features that ship, by name."""
    return [getattr(features, name) for name in sorted(features.__all__)]


def feature_page() -> str:
    """Return the page of every feature: fields, outputs, first valid row, what it says about itself."""
    lines = [
        "# Every feature",
        "",
        "Write one as `Name(field=value)` in a strategy's `features()`; see [Features](../features.md).",
    ]
    for cls in feature_classes():
        lines += ["", f"## {cls.__name__}", "", sentences(cls.__doc__), ""]
        rows = [row(field.name, field, field.default) for field in fields_of(cls).values()]
        lines += ["| field | allowed | default | meaning |", "|---|---|---|---|", *rows] if rows else []
        lines += ["", f"`{cls.__module__}`, {'with' if cls.kernel else 'without'} a kernel in Rust."]
    return "\n".join(lines) + "\n"


def api_page() -> str:
    """Return the page of what a Python program may rely on; the docstrings are put in by mkdocstrings."""
    lines = [
        "# Python API",
        "",
        "What stands here stays; the rest is internal. [From Python](../python-api.md) shows it at work.",
    ]
    for title, names in API.items():
        lines += ["", f"## {title}"]
        for name in names:
            lines += ["", f"::: {name}"]
    return "\n".join(lines) + "\n"


def example_page() -> str:
    """Return the page of the scripts in `examples/`, each with its text."""
    lines = ["# Examples", "", "Each is a script that runs as it is, from any folder, and is run by the tests."]
    for path in sorted((ROOT / "examples").glob("*.py")):
        lines += ["", f"## {path.name} {{ #{path.stem} }}", "", "```python", path.read_text("utf-8").rstrip(), "```"]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Return every page that is made: its path below docs/, and its text."""
    made = {f"reference/{group}.md": group_page(group) for group in GROUPS if options(group)}
    made |= {
        "reference/run.md": run_page(),
        "reference/feature-list.md": feature_page(),
        "reference/api.md": api_page(),
    }
    made["reference/examples.md"] = example_page()
    return made | {name: (ROOT / name).read_text("utf-8").replace("](docs/", "](") for name in ABOVE}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave the theme's 404 page out: its links are those of a server's root, where the site need not lie."""
    config.theme.static_templates.discard("404.html")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_post_build(config: MkDocsConfig) -> None:
    """Write the search index as a script too: a page that was opened from a folder may not read JSON."""
    folder = Path(config.site_dir) / "search"
    index = (folder / "search_index.json").read_text("utf-8")
    (folder / "search_index.js").write_text(f"var __index = {index};\n", "utf-8")


def stacked(table: re.Match[str]) -> str:
    """Name in each cell the column it stands in: on a phone a row is shown as a card, and its head is out of sight."""
    heads = [re.sub(r"<.*?>", "", head).strip() for head in re.findall(r"<th.*?>(.*?)</th>", table[1], re.S)]

    def labelled(row: re.Match[str]) -> str:
        names = iter(heads)
        return CELL.sub(lambda cell: f'<td{cell[1]} role="cell" data-label="{next(names, "")}">', row[0])

    rows = re.sub(r"<tr(?=[ >]).*?</tr>", labelled, table[1], flags=re.S)
    for tag, role in (("tr", "row"), ("th", "columnheader"), ("thead", "rowgroup"), ("tbody", "rowgroup")):
        rows = re.sub(rf"<{tag}(?=[ >])", f'<{tag} role="{role}"', rows)
    return f'<table role="table" data-columns="{len(heads)}">{rows}</table>'


def on_page_content(html: str, **_: Any) -> str:
    """Let tables and commands be read on a phone: see `site.css`."""

    def marked(block: re.Match[str]) -> str:
        lines = [line for line in block[1].splitlines() if line.strip()]
        commands = bool(lines) and all(line.startswith(COMMANDS) for line in lines) and not lines[0].startswith(" ")
        return f'<div class="highlight{" kf-commands" if commands else ""}">'

    return CODE.sub(marked, TABLE.sub(stacked, html))


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links that leave docs/ lead to the page's copy on the site; where there is none, leave the words alone."""
    markdown = PYTHON.sub(lambda block: f"```python\n{dedent(block[0]).rstrip()}\n```\n", markdown)
    up = "../" * page.file.src_uri.count("/")
    for name in ABOVE:
        markdown = re.sub(rf"\]\((?:\.\./)+{name}", f"]({up}{name}", markdown)
    markdown = re.sub(r"\]\((?:\.\./)+examples/(\w+)\.py\)", rf"]({up}reference/examples.md#\1)", markdown)
    markdown = re.sub(r"\]\((?:\.\./)+README\.md\)", f"]({up}README.md)", markdown)
    return re.sub(
        r"\[([^\]]+)\]\((?:\.\./)+(?:examples|tests|runs|LICENSE|Makefile|kraken_flow)[^)]*\)", r"\1", markdown
    )
