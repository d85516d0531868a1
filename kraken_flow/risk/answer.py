"""Ask risk about a single order, without running anything: `allowed, reason = answer(...)`."""

from collections.abc import Mapping
from math import isfinite
from numbers import Real
from typing import NamedTuple, TypeVar

from kraken_flow.core.account import Execution, Portfolio, Risk, View
from kraken_flow.core.admission import admit
from kraken_flow.core.contract import unit_price
from kraken_flow.core.costs import FeeSchedule
from kraken_flow.core.errors import UserError
from kraken_flow.core.instrument import Instrument, currency_of, settled_in, split_pair
from kraken_flow.core.ledger import Ledger
from kraken_flow.core.limits import Safety, Trigger
from kraken_flow.core.orders import OrderRequest, OrderType, Side, Word
from kraken_flow.core.recorder import Recorder
from kraken_flow.core.simulator import Simulator
from kraken_flow.core.spec import Spec
from kraken_flow.core.times import DAY
from kraken_flow.core.units import CASH_DECIMALS, FIX_NAN, PRICE_DECIMALS, fix, parse
from kraken_flow.core.var_limit import COLUMN
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
    covariance: Mapping[str, Mapping[str, float]] | None = None,
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
    cash
        Cash in what the pairs are traded in; with perpetuals what the venue shows as margin balance, wallet and open
        profit, for they are worth nothing beside it.
    prices
        A price per pair.
    pair
        What is traded.
    side
        `buy` or `sell`.
    qty
        Base, of an inverse perpetual quote units; above 0.
    positions
        What is held per pair, in the unit of `qty`, negative for short.
    covariance
        What `risk.system.max_var` measures by: covariances of two pairs' returns of a day, as 0.0009 for a deviation of
        3 %, either way round. One that is not given is not known: two pairs then count as moving together for the
        worse, and a position in a pair without its own may only become smaller.
    limit_price
        0 for none.
    stop_price
        0 for none.
    reduce_only
        Whether the order may only make a position smaller.
    state
        Where the account stands with its limits: `normal`, `throttled`, `cooldown`, `daily_halt`, `killed`.
    cause
        The limit that brought it there.

    Returns
    -------
    Answer
        `allowed`, and `reason`: the limit that cuts or refuses the order, `none` where it may go.

    Raises
    ------
    UserError
        Where the pair has no price, a word or a number is none, or a quantity or price is not above 0.

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
    for name in (*(positions or {}), *(covariance or {})):
        if name not in names:
            raise UserError(f"{name}: there is no price of it in prices ({', '.join(names)})")
    if len(units := sorted({currency_of(name) for name in names})) > 1:
        raise UserError(f"prices: pairs traded in {', '.join(units)} have no equity together; ask about one currency")
    closes = [_amount(prices[name], f"prices[{name}]", above=True) for name in names]
    sim = _standing(risk, names, cash)
    sim.ledger.position = [_amount((positions or {}).get(name, 0.0), f"positions[{name}]") for name in names]
    sim.columns = _columns(covariance or {}, names)
    sim.watch.state, sim.watch.cause = _word(Safety, state, "state"), _word(Trigger, cause, "cause")
    p, direction = names.index(pair), _word(Side, side, "side")
    request = OrderRequest(
        pair=p,
        side=direction,
        qty=_amount(qty, "qty", above=True),
        type=OrderType.LIMIT if limit_price else OrderType.STOP if stop_price else OrderType.MARKET,
        limit_price=_amount(limit_price, "limit_price", above=bool(limit_price)),
        stop_price=_amount(stop_price, "stop_price", above=bool(stop_price)),
        reduce_only=reduce_only,
    )
    sim.ledger.cash -= sum(sim.ledger.value(i, closes[i]) for i, held in enumerate(sim.ledger.contracts) if held)
    equity = sim.ledger.equity(closes)
    order = sim.record.order(request, request.qty, 0, 0, own=True)
    told = admit(sim, order, request.qty, closes, equity)
    held = sim.ledger.position[p]
    after = held + direction * request.qty
    if (told.trigger is Trigger.NONE or told.qty == request.qty) and abs(after) > abs(held) and not reduce_only:
        view = View(len(names), sim.spec.leverage, risk.protection().stop_loss, 0)
        view.price = [unit_price(*pair) for pair in zip(sim.ledger.inverse, closes, strict=True)]
        view.position, view.equity = sim.ledger.position, equity
        if abs(risk.approve(view, p, after)) < abs(after):
            return Answer(False, "max_fraction")
    allowed = told.trigger is Trigger.NONE or (told.qty == request.qty and request.qty <= max(0, -direction * held))
    return Answer(allowed, "none" if allowed else told.trigger.word)


def _standing(risk: Risk, names: list[str], cash: float) -> Simulator:
    """Return an exchange in which nothing happens, with an account of cash alone."""
    n = len(names)
    spec = Spec(
        timeframe_ns=DAY,
        instruments=tuple(Instrument(name, *split_pair(name), 1, 1, settle=settled_in(name)) for name in names),
        portfolio=Portfolio(),
        risk=risk,
        execution=Execution(),
        protection=risk.protection(),
        cash=_amount(cash, "cash", decimals=CASH_DECIMALS),
        limits=risk.limits(),
    )
    return Simulator(
        spec=spec,
        ledger=Ledger(spec.cash, n, [i.inverse for i in spec.instruments], [bool(i.settle) for i in spec.instruments]),
        record=Recorder(spec.tags),
        fees=FeeSchedule(spec),
        live=[[] for _ in names],
        gap=[0] * n,
        protection=[None] * n,
        entry_row=[-1] * n,
        stopped_row=[-1] * n,
        watch=Watch(spec.limits, spec.cash, n),
    )


def _amount(value: float, what: str, above: bool = False, decimals: int = PRICE_DECIMALS) -> int:
    """Return a number in units of 10^-decimals; a `UserError` where it is none, or has to be above 0 and is not."""
    _finite(value, what)
    units = parse(repr(float(value)), decimals, what)
    if above and units <= 0:
        raise UserError(f"{what}={value!r}: must be above 0")
    return units


def _finite(value: object, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(value):
        raise UserError(f"{what}={value!r}: must be a finite number")


def _columns(covariance: Mapping[str, Mapping[str, float]], names: list[str]) -> dict[str, list[int]]:
    """Return covariances as the columns that the limit reads, squared percents of 10^-9."""
    table = [[FIX_NAN] * len(names) for _ in names]
    for one, row in covariance.items():
        for other, value in row.items():
            if other not in names:
                raise UserError(f"{other}: there is no price of it in prices ({', '.join(names)})")
            _finite(value, f"covariance[{one}][{other}]")
            i, k = names.index(one), names.index(other)
            table[i][k] = table[k][i] = fix(value * 1e4)
    return {f"{COLUMN}_{k}": column for k, column in enumerate(table)}


def _word(words: type[W], word: str, what: str) -> W:
    try:
        return words[word.upper()]
    except KeyError:
        known = ", ".join(member.name.lower() for member in words)
        raise UserError(f"{what}={word}: is none of {known}") from None
