"""Writing a finished run: tables, logs and metrics."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kraken_flow.analysis.metrics import Hashes, complete, measure
from kraken_flow.core.whole import whole, write_whole
from kraken_flow.runs.directory import AGAIN, explained, write_json
from kraken_flow.runs.logs import data_hash, ledger_log, order_log, text_hash
from kraken_flow.runs.past import LOGS, TABLES
from kraken_flow.runs.progress import MEASURING, Work
from kraken_flow.runs.tables import PARENTS, SAMPLE, Tables


def full_metrics(
    tables: Tables, orders_text: str | None = None, ledger_text: str | None = None, unaudited: str = ""
) -> dict[str, Any]:
    """Return everything that stands in `metrics.json`; the logs are written if they are not given."""
    texts = order_log(tables) if orders_text is None else orders_text, ledger_text
    ledger = ledger_log(tables) if texts[1] is None else texts[1]
    hashes = Hashes(text_hash(texts[0]), text_hash(ledger), data_hash(tables.run.market))
    return complete(tables.run, measure(tables.run), hashes, unaudited)


def write_run(
    folder: Path, tables: Tables, unaudited: str = "", then: str = AGAIN, work: Work | None = None
) -> dict[str, Any]:
    """Write a run's tables, logs and metrics into its folder, each as a whole or not at all; return the metrics.

    Parameters: `unaudited` why the system is not known to be free of look-ahead, nothing where it is; `then` what a
    full disk leaves and what to do; `work` is told when it comes to measuring.
    """
    with explained(folder, then):
        texts = {"orders.log": order_log(tables), "ledger.log": ledger_log(tables)}
        for name, text in texts.items():
            write_whole(folder / name, text.encode())
        for name in tables.names:
            table: pa.Table = getattr(tables, name)
            if tables.run.market.synthetic_sample:
                table = table.replace_schema_metadata({"market": SAMPLE})
            _write_parquet(table, folder / f"{name}.parquet")
        if work is not None:
            work.now(MEASURING)
        metrics = full_metrics(tables, texts["orders.log"], texts["ledger.log"], unaudited)
        write_json(folder / "metrics.json", metrics)
    return metrics


def remove_results(folder: Path) -> None:
    """Remove what an interrupted session wrote of its results: it goes on, and they are those of an earlier instant."""
    with explained(folder):
        for name in ("metrics.json", *LOGS, "report.html", *(f"{table}.parquet" for table in (*TABLES, PARENTS))):
            (folder / name).unlink(missing_ok=True)


def _write_parquet(table: pa.Table, path: Path) -> None:
    # Statistics and dictionaries cost more time than they save on tables of this size; text columns repeat a lot.
    strings = [f.name for f in table.schema if pa.types.is_string(f.type) and f.name != "client_id"]
    with whole(path) as fresh:
        pq.write_table(table, fresh, compression="zstd", use_dictionary=strings)
