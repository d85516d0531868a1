"""Whether a user's order makes sense to the session it is given to: what it cannot pay, what can never fill."""

from collections.abc import Iterator

from kraken_flow.analysis.money import money
from kraken_flow.core.contract import notional
from kraken_flow.core.errors import UserError
from kraken_flow.core.limits import Safety
from kraken_flow.core.orders import Side
from kraken_flow.core.parents import ManualOrder
from kraken_flow.core.plan import Algo
from kraken_flow.core.session import Session
from kraken_flow.core.units import CASH_UNIT, UNIT, text

FAR = 0.1
"""Distance of a limit price from the last close beyond which a word is said about it."""


def warnings(order: ManualOrder, session: Session) -> Iterator[str]:
    """Yield what a user may not have meant. Raises `UserError` where the session could not work the order at all."""
    close = session.closes[order.pair]
    standing = session.account.standing()
    if session.paused:
        yield "the session is paused: an order that would enlarge a position is refused"
    if standing.safety is not Safety.NORMAL:
        yield f"the session's risk state is {standing.safety.word}: it may refuse the order"
    if order.plan.algo is Algo.TWAP and order.plan.bars > 1 and order.plan.slices == 1:
        yield "the plan has one part, which is sent at once, as mode.algo=market does"
    if close:
        _payable(order, session, close)
        yield from _limit(order, session, close)


def _payable(order: ManualOrder, session: Session, close: int) -> None:
    """Refuse a quantity that the account does not carry at the last close."""
    spec, standing = session.spec, session.account.standing()
    before = standing.position[order.pair]
    after = before + order.side * order.qty
    pair = session.tape.pairs[order.pair]
    if after < 0 and not spec.short:
        raise UserError(
            f"mode.quantity={text(order.qty)}: {text(max(before, 0))} {pair} is held, "
            "and account.short=false sells no more"
        )
    if abs(after) <= abs(before):
        return

    def size(p: int, held: int) -> float:
        price = session.closes[p]
        return notional(session.instruments[p].inverse, abs(held), price) / CASH_UNIT if price and held else 0.0

    others = sum(size(p, held) for p, held in enumerate(standing.position) if p != order.pair)
    room = standing.equity * spec.leverage / UNIT - others
    if (needed := size(order.pair, after)) > room:
        unit = session.instruments[order.pair].currency
        raise UserError(
            f"mode.quantity={text(order.qty)}: a position of {text(after)} {pair} is worth {money(needed, unit)} "
            f"{unit} at the last close {text(close)}, the account carries {money(max(room, 0.0), unit)} (equity x "
            "account.leverage, less other positions); give less"
        )


def _limit(order: ManualOrder, session: Session, close: int) -> Iterator[str]:
    """Say of a limit price that the market is far from it; refuse one that the venue or risk takes no order at."""
    limit = order.plan.limit_price
    if not limit:
        return
    away = (limit - close) / close
    said = (
        f"mode.limit={text(limit)} is {abs(away):.1%} {'above' if away > 0 else 'below'} the last close {text(close)}"
    )
    bands = {"exchange.price_band": session.spec.price_band, "risk.system.price_band": session.spec.limits.price_band}
    for key, band in bands.items():
        if 0 <= band < abs(away) * UNIT:
            raise UserError(f"{said}: {key}={band / UNIT:g} refuses every order so far away; choose a nearer one")
    crosses = away * order.side > 0
    if order.plan.algo is Algo.ICEBERG and crosses:
        yield f"{said}: its parts fill at once at the market, instead of resting"
    elif abs(away) > FAR and crosses:
        yield f"{said}: it bounds nothing near the market, and the order fills at once"
    elif abs(away) > FAR:
        word = "falls" if order.side is Side.BUY else "rises"
        yield f"{said}: nothing fills unless the price {word} that far; mode.remainder decides at the end"
