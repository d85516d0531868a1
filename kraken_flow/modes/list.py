"""Mode `list`: what there is to choose from."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from kraken_flow.config.json_schema import json_schema
from kraken_flow.config.nodes import node_class
from kraken_flow.config.paths import GROUPS, options, summary, target_of
from kraken_flow.config.schema import REQUIRED, allowed, dataclass_in, fields_of, is_mapping, written
from kraken_flow.core.errors import UserError
from kraken_flow.core.node import node
from kraken_flow.modes import Call, Mode
from kraken_flow.nearest import hint


@node
class List(Mode):
    """Show every option of every group."""

    needs_graph = False
    group: str | None = None
    """A single group; its keys are then shown too."""
    schema: str | None = None
    """Where to write a JSON schema of YAML files, by which editors complete and check them; nothing is listed then."""

    def drive(self, call: Call) -> int:
        """Print each group's options, one line each."""
        console = Console(highlight=False, soft_wrap=True)
        if self.schema is not None:
            _write_schema(Path(self.schema))
            console.print(f"written: {self.schema}; for an editor, a YAML file of yours begins with", markup=False)
            console.print(f"# yaml-language-server: $schema={self.schema}", markup=False)
            return 0
        if self.group is not None and self.group not in GROUPS:
            guess = hint(self.group, GROUPS, prefix="mode.group=")
            raise UserError(f"mode.group={self.group}: there is no such group; there are {', '.join(GROUPS)}{guess}")
        for group in GROUPS if self.group is None else [self.group]:
            known = options(group)
            width = max(map(len, known), default=0)
            console.print(f"{group}: {GROUPS[group]}", style="bold", markup=False)
            for name, path in known.items():
                console.print(f"  {name:<{width}}  {summary(path)}", markup=False)
            if self.group is not None:
                for target in dict.fromkeys(filter(None, map(target_of, known.values()))):
                    for line in _keys(group, target):
                        console.print(line, markup=False)
        return 0


def _write_schema(path: Path) -> None:
    made = json_schema()
    if path.is_file() and f'"title": "{made["title"]}"' not in path.read_text("utf-8", errors="replace"):
        raise UserError(f"mode.schema={path}: is there, and is no schema of ours; choose another file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise UserError(f"mode.schema={path}: cannot be written ({error.strerror}); choose another file") from error


def _keys(group: str, target: str) -> list[str]:
    problems: list[str] = []
    cls = node_class(target, group, None, problems)
    return problems if cls is None else ["", target, *_fields(group, cls)]


def _fields(path: str, cls: type[Any]) -> Iterator[str]:
    for field in fields_of(cls).values():
        key = f"{path}.{field.name}"
        inner = dataclass_in(field.hint)
        if inner is not None and not is_mapping(field.hint):
            yield from _fields(key, inner)
            continue
        default = "must be given" if field.default is REQUIRED else f"default {written(field.default)}"
        yield f"  {key}: {allowed(field.hint)}; {default}" + (f". {field.doc}" if field.doc else "")
