"""A run's fills in the account of another library: the comparison as a file, and as a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from kraken_flow.runs.directory import explained, write_json
from kraken_flow.runs.views import RunView

CROSSCHECK = "crosscheck.json"
_PLAIN: dict[str, Any] = {"box": None, "title_justify": "left", "padding": (0, 2, 0, 0), "pad_edge": False}


def crosscheck(folder: Path, run: RunView) -> dict[str, Any]:
    """Compare a run's account with that of vectorbt, write `crosscheck.json` and return what stands in it."""
    from kraken_flow.runs.vectorbt_replay import check

    with Console(stderr=True).status("cross-checking with vectorbt"):
        content = check(run).content()
    with explained(folder):
        write_json(folder / CROSSCHECK, content)
    return content


def show_crosscheck(console: Console, content: Mapping[str, Any]) -> None:
    """Print the comparison. A difference is a warning: the run is done, and stays."""
    library = f"{content['library']} {content['version']}"
    table = Table(title=f"CROSS-CHECK WITH {library.upper()}", **_PLAIN)
    for head in ("", "Ours", "vectorbt", "Difference", ""):
        table.add_column(head, justify="right" if head else "left", overflow="fold")
    for line in content["compared"]:
        counted = line["tolerance"] == 0
        ours, theirs = (f"{line[who]:,.0f}" if counted else f"{line[who]:,.8f}" for who in ("ours", "vectorbt"))
        if line["name"].endswith("gap"):
            ours = theirs = ""
        difference = f"{line['difference']:+.0f}" if counted else f"{line['difference']:+.2g}"
        table.add_row(line["name"], ours, theirs, difference, "" if line["agrees"] else "DIFFERS")
    console.print(table)
    if content["compared"]:
        tolerance = f"amounts may differ by {content['tolerance']:.2g}: {content['why']}"
        console.print(tolerance, markup=False)
    for text in content["not_compared"]:
        console.print(f"not compared: {text}", markup=False)
    if content["agrees"] is False:
        console.print(f"warning: {library} does not come to the same account from the same fills", markup=False)
    console.print()
