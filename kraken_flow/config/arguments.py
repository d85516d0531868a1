"""The command line, read and rewritten before Hydra sees it. Imports the standard library only.

`strategy.fast=5` becomes `++strategy.fast=5`, because YAML states only what differs from a node's defaults;
`pairs=[A/B,C/D]` becomes the group option `custom` with that list. Everything else Hydra reads as it was typed.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from kraken_flow.config.paths import CONFIG_DIR, GROUPS, SETTINGS, no_option, options, target_of
from kraken_flow.nearest import hint, nearest

_FLAGS = {"-h": "--help", "-m": "--multirun", "-cd": "--config-dir", "-cn": "--config-name", "-c": "--cfg"}
_WITH_VALUE = ("--config-dir", "--config-name", "--cfg")
_ALONE = ("--help", "--version", "--multirun")
_PLAIN = re.compile(r"[A-Za-z0-9_/.\-+:~@%*?|]*")
_NO_STEP = re.compile(r"range\((?:[^,()]+,){2}\s*(?:step\s*=\s*)?-?0+(?:\.0*)?\s*\)")
_PATHS = ("path", "run_dir", "svg", "run", "dir")


@dataclass
class Arguments:
    """What the user asked for.

    Parameters
    ----------
    overrides
        `key=value`, rewritten for Hydra.
    given
        The same as typed, with those for Hydra itself.
    problems
        One sentence per argument that cannot be read; those arguments are left out of `overrides`.
    """

    overrides: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    flags: dict[str, str] = field(default_factory=dict)

    @property
    def multirun(self) -> bool:
        """Whether -m was given."""
        return "--multirun" in self.flags

    @property
    def members(self) -> int | None:
        """How many runs a sweep has, None where ranges and choices decide."""
        counts = [split(word.partition("=")[2]) for word in self.overrides]
        if any(re.search(r"=\w+\(", word) for word in self.overrides):
            return None
        return prod(map(len, counts))

    @property
    def chosen_configuration(self) -> list[str]:
        """The flags that say where the configuration is, as a user would type them again."""
        return [f"{name}={self.flags[name]}" for name in ("--config-dir", "--config-name") if name in self.flags]

    @property
    def config_name(self) -> str:
        """The primary configuration file, without its suffix."""
        return self.flags.get("--config-name", "config").removesuffix(".yaml")


def read(words: Sequence[str]) -> Arguments:
    """Read a command line; what is wrong with it is collected in `problems`.

    --config-dir takes effect here, in the environment: what can be chosen depends on it.
    """
    found = Arguments()
    rest: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        name, equals, value = word.partition("=")
        name = _FLAGS.get(name, name)
        if name in _ALONE and not equals:
            found.flags[name] = ""
        elif name not in _WITH_VALUE:
            found.problems.append(f"{word}: no such flag{hint(name, (*_ALONE, *_WITH_VALUE))}")
        elif not equals and not queue:
            found.problems.append(f"{name} needs a value")
        else:
            found.flags[name] = value if equals else queue.pop(0)
    folder = found.flags.get("--config-dir")
    if folder is not None and not Path(folder).is_dir():
        found.problems.append(f"--config-dir {folder}: there is no such folder")
    elif folder is not None:
        os.environ[CONFIG_DIR] = str(Path(folder).resolve())
    seen: set[str] = set()
    for word in rest:
        _read_override(word, found, seen, rest)
    return found


def rewrite(overrides: Sequence[str], multirun: bool = False) -> Arguments:
    """Read overrides alone, as `read` does."""
    return read([*overrides, "--multirun"] if multirun else overrides)


def typed(overrides: Sequence[str]) -> list[str]:
    """Undo the rewriting: the overrides of a sweep's member as a user would type them."""
    words = [word.removeprefix("++") for word in overrides if word != "pairs=custom"]
    return [f"pairs={word.partition('=')[2]}" if word.startswith("pairs.names=") else word for word in words]


def split(value: str) -> list[str]:
    """Split at the commas that stand outside brackets and quotes."""
    parts, depth, quote, current = [], 0, "", ""
    for char in value:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "[{(":
            depth += 1
        elif char in "]})":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(current)
            current = ""
            continue
        current += char
    return [*parts, current]


def _read_override(word: str, found: Arguments, seen: set[str], words: Sequence[str]) -> None:
    typed, equals, value = word.partition("=")
    typed = typed.strip()
    prefix = re.match(r"\+{1,2}|~|", typed)[0]  # type: ignore[index]  # the pattern matches the empty string too
    key = typed.removeprefix(prefix)
    root = re.split(r"[./@]", key, maxsplit=1)[0]
    if not equals and prefix != "~":
        guess = next((f"; did you mean {group}={word}?" for group in GROUPS if word in options(group)), "")
        found.problems.append(
            f"{word!r} is not an argument: write key=value{guess or hint(word, GROUPS, suffix='=...')}"
        )
        return
    if not key:
        found.problems.append(f"{word}: there is no key before the =; write key=value, as in strategy.fast=5")
        return
    if root == "hydra":
        found.overrides.append(word)
        found.given.append(word)
        return
    if root not in GROUPS and root not in SETTINGS:
        rest = key[len(root) :]
        chosen = None if rest else _below_a_choice(key, words)
        found.problems.append(
            f"{key}: no such key; there are {', '.join([*GROUPS, *SETTINGS])}"
            + (f"; did you mean {chosen}={value}?" if chosen else hint(root, [*GROUPS, *SETTINGS], suffix=rest or "="))
        )
        return
    if root in SETTINGS and key != root:
        found.problems.append(f"{key}: {root} has no keys below it; write {root}={value}")
        return
    if key in seen:
        found.problems.append(f"{key} is given twice")
        return
    seen.add(key)
    found.given.append(word)
    if prefix or not equals:
        found.overrides.append(word)
    elif key == "pairs":
        _read_pairs(value, found)
    elif key in GROUPS:
        _read_choice(key, value, found)
    elif "@" in key or "/" in key:
        found.overrides.append(word)
    else:
        _read_value(key, value, found)


def _below_a_choice(key: str, words: Sequence[str]) -> str | None:
    """Return the full path of a key that an option on the command line has, the mode's first; None where none has it.

    A key of the mode may be misspelt, where no group or setting is nearer.
    """
    from kraken_flow.config.nodes import node_class  # on the way to an error: these load the libraries of a run
    from kraken_flow.config.schema import fields_of

    picked = {group: option for group, _, option in (word.partition("=") for word in words) if group in GROUPS}
    for group in sorted(picked, key=lambda group: group != "mode"):
        path = options(group).get(picked[group])
        cls = None if path is None else node_class(target_of(path), group, None, [])
        fields = [] if cls is None else list(fields_of(cls))
        if key in fields:
            return f"{group}.{key}"
        if group == "mode" and not nearest(key, [*GROUPS, *SETTINGS]) and (near := nearest(key, fields)):
            return f"{group}.{near}"
    return None


def _read_choice(group: str, value: str, found: Arguments) -> None:
    names = [name.strip() for name in split(value)]
    if names == ["null"]:
        found.overrides.append(f"~{group}")
        return
    if len(names) > 1 and not found.multirun:
        found.problems.append(f"{group}={value} lists several values: add -m to run them all")
        return
    known = options(group)
    wrong = [name for name in names if name not in known and not name.endswith(")")]
    found.problems += [no_option(group, name) for name in wrong]
    if not wrong:
        found.overrides.append(f"{group}={value}")


def _read_pairs(value: str, found: Arguments) -> None:
    if _unclosed(value):
        found.problems.append(f"pairs={value}: a bracket or quote is not closed; write pairs=[BTC/USD,ETH/USD]")
        return
    parts = [part.strip() for part in split(value)]
    listed = [part for part in parts if part.startswith("[") or "/" in part]
    if not listed:
        _read_choice("pairs", value, found)
        return
    if len(listed) < len(parts):
        found.problems.append(f"pairs={value} mixes named lists and pairs: write the pairs of the lists instead")
        return
    if found.multirun:
        lists = [part if part.startswith("[") else f"[{part}]" for part in parts]
    elif len(parts) == 1 and value.strip().startswith("["):
        lists = [value.strip()]
    elif any(part.startswith("[") for part in parts):
        found.problems.append(f"pairs={value} lists several values: add -m to run them all")
        return
    else:
        lists = [f"[{','.join(parts)}]"]
    found.overrides += ["pairs=custom", f"++pairs.names={','.join(lists)}"]


def _unclosed(value: str) -> bool:
    if value.startswith(("'", '"')):
        return re.sub(r"\\.", "", value).count(value[0]) % 2 == 1
    return any(value.count(a) != value.count(b) for a, b in ("[]", "{}", "()")) or value.count("'") % 2 == 1


def _read_value(key: str, value: str, found: Arguments) -> None:
    if value.startswith(("[", "{", "'", '"')) and _unclosed(value):
        found.problems.append(f"{key}={value}: a bracket or quote is not closed")
        return
    if value.startswith(("[", "{", "'", '"')) or "${" in value or _PLAIN.fullmatch(value):
        found.overrides.append(f"++{key}={value}")
        return
    is_path = "/" in value or key.rpartition(".")[2] in _PATHS
    sweep = len(split(value)) > 1 or re.match(r"\w+\(.*\)$", value)
    if sweep and found.multirun and _NO_STEP.fullmatch(value):
        found.problems.append(f"{key}={value}: its step is 0; write range(START,STOP,STEP), as in range(5,30,5)")
    elif sweep and found.multirun and key != "run_dir":
        found.overrides.append(f"++{key}={value}")
    elif sweep and not is_path:
        found.problems.append(f"{key}={value} lists several values: add -m to run them all")
    else:
        found.overrides.append(f"++{key}={quoted(value)}")


def quoted(value: str) -> str:
    """Return the value as a quoted string of Hydra's grammar, where nothing in it has a meaning."""
    escaped = re.sub(r"(\\*)'", lambda m: m[1] * 2 + "\\'", value)
    return "'" + re.sub(r"(\\+)$", lambda m: m[1] * 2, escaped) + "'"
