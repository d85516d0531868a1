"""Kraken dumps that the tests make themselves: CSV without a header, Unix seconds, only bars with trades."""

import random
import zipfile
from collections.abc import Iterable
from pathlib import Path

DAY_S = 86_400
SINCE = 1_609_459_200
"""2021-01-01."""


def rows(seed: int, step_s: int, n: int, since: int = SINCE, missing: float = 0.1) -> list[str]:
    """Lines of a dump: a random walk in cents, some bars left out."""
    dice = random.Random(seed)  # noqa: S311 - a test's own dice
    price, lines = 100_000 + dice.randrange(50_000), []
    for i in range(n):
        before, price = price, max(1_000, price + dice.randrange(-500, 501))
        if i and dice.random() < missing:
            continue
        high, low = max(before, price) + dice.randrange(50), min(before, price) - dice.randrange(50)
        volume = dice.randrange(1, 10**9)
        prices = ",".join(f"{cents / 100:.2f}" for cents in (before, high, low, price))
        lines.append(f"{since + i * step_s},{prices},{volume / 10**6:.6f},{dice.randrange(1, 90)}")
    return lines


def text(lines: Iterable[str]) -> str:
    """The content of a file."""
    return "".join(f"{line}\n" for line in lines)


def zipped(path: Path, files: dict[str, str]) -> Path:
    """Write an archive whose bytes do not depend on when it is made."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
