"""The run index as a table of SQLite: a cache of what stands in the manifests, made anew wherever it does not fit."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, event, exc, func
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Field, Session, SQLModel, and_, create_engine, delete, or_, select, text

VERSION = 3
"""Of the columns below; an index of another version is made anew."""
_AT_ONCE = 500
"""Rows in one statement: SQLite takes 32,766 values."""
PATIENCE_S = 30.0
"""How long a process waits while another one writes."""


class Entry(SQLModel, table=True):
    """One run, sweep or member of a sweep, as its folder says."""

    path: str = Field(primary_key=True)
    """Folder, relative to that of all runs, with / between its parts."""
    fingerprint: str
    """Times, sizes and inodes of the files that were read."""
    kind: str = Field(index=True)
    """run, sweep or member."""
    parent: str | None = None
    """For a member: the folder of its sweep."""
    members: int | None = None
    """For a sweep: how many runs it has."""
    mode: str | None = None
    strategy: str | None = Field(default=None, index=True)
    pairs: str | None = None
    timeframe: str | None = None
    first: str | None = None
    """First decision bar's open, ISO-8601 UTC."""
    last: str | None = None
    """Last decision bar's close."""
    started: str | None = Field(default=None, index=True)
    finished: str | None = None
    status: str = "unknown"
    error: str | None = None
    engine: str | None = None
    synthetic: bool = False
    audited: bool | None = None
    verdict: str | None = None
    """Of an audit: passed or failed."""
    killed_at: str | None = None
    """When a limit of the system ended trading."""
    would_have_been_killed_at: str | None = None
    """When a limit that was only recorded would have."""
    total_return: float | None = None
    cagr: float | None = None
    sharpe: float | None = None
    sortino: float | None = None
    max_drawdown: float | None = None
    profit_factor: float | None = None
    win_rate: float | None = None
    exposure: float | None = None
    trades: int | None = None
    fees: float | None = None
    """Rounded to a float, to be sorted and compared; `metrics.json` has it exact."""
    final_equity: float | None = None
    config_sha256: str | None = None
    order_log_sha256: str | None = None
    ledger_sha256: str | None = None
    data_sha256: str | None = None


_TABLE: Any = getattr(Entry, "__table__")  # noqa: B009 - SQLModel adds it without saying so in its types
COLUMNS = tuple(Entry.model_fields)
"""Names of all columns."""
NUMBERS = tuple(name for name, field in Entry.model_fields.items() if "float" in str(field.annotation))
WHOLE = ("trades", "members")
WORDS = tuple(
    name for name, field in Entry.model_fields.items() if "str" in str(field.annotation) and name != "fingerprint"
)
Row = dict[str, Any]
Condition = tuple[str, str, Any]
"""Column, one of = != < <= > >= like, and the value."""


class Damaged(Exception):  # noqa: N818 - no error of the program: the index is made anew
    """The file is no index, or a damaged one."""


class Unusable(Exception):  # noqa: N818 - no error of the program: an index in memory does
    """The file cannot be written, or others keep it to themselves."""


@contextmanager
def understood() -> Iterator[None]:
    """Turn what the database says into `Damaged` and `Unusable`."""
    try:
        yield
    except exc.OperationalError as error:
        raise (Damaged if "no such" in str(error) else Unusable)(str(error.orig)) from error
    except exc.DatabaseError as error:
        raise Damaged(str(error.orig)) from error


class Index:
    """The table, in a file or, where that cannot be written, in memory.

    Parameters: `path` the file, None for memory. Raises `Damaged` where the file is no database, or has other columns.
    """

    def __init__(self, path: Path | None) -> None:
        self._engine = create_engine(
            "sqlite://" if path is None else f"sqlite:///{path}", connect_args={"timeout": PATIENCE_S}
        )

        # sqlite3 begins a transaction at the first write, so that two processes could both read first, and one fail.
        @event.listens_for(self._engine, "connect")
        def _manual(connection: Any, _: Any) -> None:
            connection.isolation_level = None

        @event.listens_for(self._engine, "begin")
        def _begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        with understood(), self._engine.begin() as connection:
            version = connection.execute(text("PRAGMA user_version")).scalar_one()
            if version != VERSION:
                SQLModel.metadata.drop_all(connection, tables=[_TABLE])
                connection.execute(text(f"PRAGMA user_version = {VERSION:d}"))
            SQLModel.metadata.create_all(connection, tables=[_TABLE])
            connection.execute(select(Entry).limit(1)).first()

    def close(self) -> None:
        """Let the file go."""
        self._engine.dispose()

    def known(self) -> dict[str, tuple[str, str]]:
        """Return fingerprint and kind by path."""
        with understood(), Session(self._engine) as session:
            columns = select(Entry.path, Entry.fingerprint, Entry.kind)
            return {path: (fingerprint, kind) for path, fingerprint, kind in session.exec(columns)}

    def update(self, rows: Sequence[Mapping[str, Any]], gone: Sequence[str]) -> None:
        """Write rows in place of those of the same path, and take out what is gone, in one transaction."""
        with understood(), self._engine.begin() as connection:
            for begin in range(0, len(gone), _AT_ONCE):
                connection.execute(delete(Entry).where(_column("path").in_(gone[begin : begin + _AT_ONCE])))
            for begin in range(0, len(rows), _AT_ONCE):
                some = insert(Entry)
                fresh = {name: some.excluded[name] for name in COLUMNS}
                connection.execute(
                    some.on_conflict_do_update(index_elements=["path"], set_=fresh),
                    [dict(row) for row in rows[begin : begin + _AT_ONCE]],
                )

    def find(self, conditions: Iterable[Condition], sort: str, limit: int | None) -> tuple[list[Row], int]:
        """Return the rows that meet all conditions, sorted, and how many there are without the limit.

        Parameters: `sort` a column, with - before it for the largest first; what has no value comes last either way.
        """
        wanted = and_(True, *(_met(*condition) for condition in conditions))
        name = sort.removeprefix("-")
        column = _column(name)
        order = column.desc() if sort.startswith("-") else column.asc()
        query = select(*(_column(c) for c in COLUMNS)).where(wanted)
        query = query.order_by(column.is_(None), order, _column("started").desc(), _column("path"))
        with understood(), self._engine.connect() as connection:
            total = connection.execute(select(func.count()).select_from(Entry).where(wanted)).scalar_one()
            rows = [dict(zip(COLUMNS, found, strict=True)) for found in connection.execute(query.limit(limit))]
        return rows, total


def _column(name: str) -> Any:
    return getattr(Entry, name)


def _met(name: str, how: str, value: Any) -> ColumnElement[bool]:
    column = _column(name)
    found: ColumnElement[bool] = {
        "=": column.__eq__,
        "!=": column.is_distinct_from,
        "<": column.__lt__,
        "<=": column.__le__,
        ">": column.__gt__,
        ">=": column.__ge__,
        "like": lambda pattern: column.like(pattern, escape="\\"),
        "unlike": lambda pattern: or_(column.is_(None), column.not_like(pattern, escape="\\")),
    }[how](value)
    return found
