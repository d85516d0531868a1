"""Ask risk about a single order, without running anything: `allowed, reason = answer(...)`."""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from kraken_flow.core.account import Execution, Portfolio, Risk, View
from kraken_flow.core.admission import admit
from kraken_flow.core.costs import FeeSchedule
from kraken_flow.core.errors import UserError
from kraken_flow.core.instrument import Instrument, split_pair
from kraken_flow.core.ledger import Ledger
from kraken_flow.core.limits import Safety, Trigger
from kraken_flow.core.orders import OrderRequest, OrderType, Side, Word
from kraken_flow.core.recorder import Recorder
from kraken_flow.core.simulator import Simulator
from kraken_flow.core.spec import Spec
from kraken_flow.core.times import DAY
from kraken_flow.core.units import CASH_DECIMALS, parse
from kraken_flow.core.watch import Watch

W = TypeVar("W", bound=Word)


class Answer(NamedTuple):
    """Whether an order may go as it is, and the limit that cuts or refuses it, `none` where it may."""

    allowed: bool
    reason: str


def answer(
    risk: Risk,
    *,
    cash: float,
    prices: Mapping[str, float],
    pair: str,
    side: str,
    qty: float,
    positions: Mapping[str, float] | None = None,
    limit_price: float = 0.0,
    stop_price: float = 0.0,
    reduce_only: bool = False,
    state: str = "normal",
    cause: str = "none",
) -> Answer:
    """Return what risk says of an order.

    Parameters
    ----------
    risk
        Any risk node.
    cash, prices, positions
        The account: cash in quote, a price per pair, quantities in base (negative for short).
    pair, side, qty, limit_price, stop_price, reduce_only
        The order; a price of 0 is none.
    state, cause
        Where the account stands with its limits (`normal`, `cooldown`, `daily_halt`, `killed`), and the limit that
        brought it there.

    Raises
    ------
    UserError
        Where the pair has no price, or a word or a number is none.

    Examples
    --------
    >>> from kraken_flow.risk.tiers import SystemLimits, TieredRisk
    >>> risk = TieredRisk(system=SystemLimits(max_gross=0.5))
    >>> answer(risk, cash=10_000, prices={"BTC/USD": 50_000}, pair="BTC/USD", side="buy", qty=0.2)
    Answer(allowed=False, reason='max_gross')
    """
    names = sorted(prices)
    if pair not in names:
        raise UserError(f"pair={pair}: there is no price of it in prices ({', '.join(names) or 'empty'})")
    closes = [parse(repr(prices[name]), what=f"prices[{name}]") for name in names]
    sim = _standing(risk, names, cash)
    sim.ledger.position = [parse(repr((positions or {}).get(name, 0.0)), what=f"positions[{name}]") for name in names]
    sim.watch.state, sim.watch.cause = _word(Safety, state, "state"), _word(Trigger, cause, "cause")
    p, direction = names.index(pair), _word(Side, side, "side")
    request = OrderRequest(
        pair=p,
        side=direction,
        qty=parse(repr(qty), what="qty"),
        type=OrderType.LIMIT if limit_price else OrderType.STOP if stop_price else OrderType.MARKET,
        limit_price=parse(repr(limit_price), what="limit_price"),
        stop_price=parse(repr(stop_price), what="stop_price"),
        reduce_only=reduce_only,
    )
    equity = sim.ledger.equity(closes)
    order = sim.record.order(request, request.qty, 0, 0, own=True)
    told = admit(sim, order, request.qty, closes, equity)
    held = sim.ledger.position[p]
    after = held + direction * request.qty
    if (told.trigger is Trigger.NONE or told.qty == request.qty) and abs(after) > abs(held) and not reduce_only:
        view = View(len(names), sim.spec.leverage, risk.protection().stop_loss, 0)
        view.price, view.position, view.equity = closes, sim.ledger.position, equity
        if abs(risk.approve(view, p, after)) < abs(after):
            return Answer(False, "max_fraction")
    allowed = told.trigger is Trigger.NONE or (told.qty == request.qty and request.qty <= max(0, -direction * held))
    return Answer(allowed, "none" if allowed else told.trigger.word)


def _standing(risk: Risk, names: list[str], cash: float) -> Simulator:
    """Return an exchange in which nothing happens, with an account of cash alone."""
    n = len(names)
    spec = Spec(
        timeframe_ns=DAY,
        instruments=tuple(Instrument(name, *split_pair(name), tick=1, lot=1) for name in names),
        portfolio=Portfolio(),
        risk=risk,
        execution=Execution(),
        protection=risk.protection(),
        cash=parse(repr(cash), CASH_DECIMALS, "cash"),
        limits=risk.limits(),
    )
    return Simulator(
        spec=spec,
        ledger=Ledger(spec.cash, n),
        record=Recorder(spec.tags),
        fees=FeeSchedule(spec),
        live=[[] for _ in names],
        gap=[0] * n,
        protection=[None] * n,
        entry_row=[-1] * n,
        stopped_row=[-1] * n,
        watch=Watch(spec.limits, spec.cash, n),
    )


def _word(words: type[W], word: str, what: str) -> W:
    try:
        return words[word.upper()]
    except KeyError:
        known = ", ".join(member.name.lower() for member in words)
        raise UserError(f"{what}={word}: is none of {known}") from None
