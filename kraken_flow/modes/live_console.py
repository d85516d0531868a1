"""What a running session shows: prices, positions, orders, profit, the age of the data."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kraken_flow.analysis.money import money
from kraken_flow.core.contract import notional
from kraken_flow.core.limits import Safety
from kraken_flow.core.result import Standing
from kraken_flow.core.session import News, Session
from kraken_flow.core.times import iso
from kraken_flow.core.units import CASH_UNIT, text

_REFRESH_S = 0.25
_LINE_S = 10.0
"""Where the output is no terminal, a line at this interval."""


class Watch:
    """Shows a session while it runs.

    Parameters: `session` as it goes; `rows` of the whole tape, warm-up included, None where it has no end; `quiet`
    shows nothing; `source` says what there is to say about where the data comes from.
    """

    def __init__(
        self, session: Session, rows: int | None, quiet: bool = False, source: Callable[[], str] = lambda: ""
    ) -> None:
        self.session, self.rows, self._source = session, rows, source
        before = session.account.result()
        self.orders, self.fills = len(before.orders["pair"]), len(before.fills["pair"])
        self._rows = session.rows
        self.console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        self._shown = self._began = time.monotonic()

    def __enter__(self) -> Self:
        """Begin to show."""
        if self.console.is_terminal and not self._quiet:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the table away."""
        self._live.stop()

    def show(self, news: News | None) -> None:
        """Count what an instant brought, and show the session now and then."""
        if news is not None:
            self.orders += len(news.orders["pair"])
            self.fills += len(news.fills["pair"])
        now = time.monotonic()
        if self._quiet or now - self._shown < (_REFRESH_S if self._live.is_started else _LINE_S):
            return
        self._shown = now
        if self._live.is_started:
            self._live.update(self._table(), refresh=True)
        else:
            self.console.print(self._line(), soft_wrap=True)

    def _line(self) -> str:
        """Return the session in one line."""
        now = self.session.account.standing()
        held = sum(position != 0 for position in now.position)
        equity = money(now.equity, self.session.instruments[0].currency)
        said = f"{self._when()}: equity {equity}, positions {held}, orders {self.orders}, fills {self.fills}"
        said += _stands(now, self.session.spec.limits.shadow)
        return ", ".join(filter(None, (said, self._source())))

    def _when(self) -> str:
        tape, rows = self.session.tape, self.session.rows
        known = iso(tape.first + rows * tape.timeframe_ns)
        return known if self.rows is None else f"{known} ({rows / self.rows:.0%})"

    def _table(self) -> Group:
        """Return the session as it is drawn, and how fast it goes."""
        head = f"paper {self._when()}{', paused' if self.session.paused else ''}"
        rate = (self.session.rows - self._rows) / max(time.monotonic() - self._began, 1e-9)
        pace = self._source() or f"{rate:,.0f} instants/s"
        foot = Text(f"{pace}; Ctrl-C stops in order, the same run_dir goes on")
        return Group(drawn(self.session, head, self.orders, self.fills), foot)


def drawn(session: Session, head: str, orders: int, fills: int) -> Group:
    """Return a session as a table under a headline, with how many orders it sent and fills it had."""
    now, start = session.account.standing(), session.spec.cash / CASH_UNIT
    unit = session.instruments[0].currency
    words = Text.assemble(
        (head, "bold"),
        (_stands(now, session.spec.limits.shadow), "bold red"),
        f"  equity {money(now.equity, unit)} ({now.equity / start - 1:+.2%})  cash {money(now.cash / CASH_UNIT, unit)}",
        f"  orders {orders}, working {now.working}, fills {fills}",
    )
    table = Table(box=None, pad_edge=False)
    value_head = f"Value {unit}"
    for name in ("Pair", "Price", "Position", value_head, "Risk"):
        table.add_column(name, justify="left" if name in {"Pair", "Risk"} else "right")
    rows = zip(session.instruments, session.closes, now.position, now.disarmed, strict=True)
    for instrument, close, held, out in rows:
        size = notional(instrument.inverse, abs(held), close) / CASH_UNIT if close else 0.0
        value = money(size if held > 0 else -size, unit) if held else ""
        state = "out until its forecast changes" if out else "protected" if held and session.protects else ""
        table.add_row(instrument.pair, text(close), text(held) if held else "flat", value, state)
    return Group(words, table)


def _stands(now: Standing, shadow: bool) -> str:
    """Say where the account stands with its limits, where that is not as usual; `shadow` where they only record."""
    if now.safety is Safety.NORMAL:
        return ""
    if not shadow:
        return f"  {now.safety.word.upper()} by {now.cause.word}"
    if now.safety is Safety.KILLED:
        return f"  would have been killed by {now.cause.word}"
    return f"  {now.safety.word} by {now.cause.word} (not acted upon)"
