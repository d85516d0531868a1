"""What account, risk and venue must agree on where positions are on margin."""

import math
from collections.abc import Sequence

from kraken_flow.core.contract import MarginMode
from kraken_flow.core.errors import UserError
from kraken_flow.core.graph import Graph
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.market import Market
from kraken_flow.core.strategy import Scripted
from kraken_flow.core.units import UNIT, rate


def liquidation_distance(leverage: int, maintenance: int, side: int, inverse: bool = False) -> float:
    """Return how far from its entry an isolated position is liquidated, a share of the entry price.

    Parameters: `leverage` and `maintenance` 10^-8; `side` +1 long, -1 short. Spec F16:
    P_liq = E (1 - side / L) / (1 - side mmr), of an inverse contract E (1 + side mmr) / (1 + side / L). A distance of 1
    or more is never reached by a long, an infinite one by nobody.
    """
    lever, mmr = leverage / UNIT, maintenance / UNIT
    if inverse:
        return side * (1.0 - (1.0 + side * mmr) / (1.0 + side / lever)) if side > 0 or lever > 1.0 else math.inf
    return side * (1.0 - (1.0 - side / lever) / (1.0 - side * mmr))


def check_margin(graph: Graph, market: Market, instruments: Sequence[Instrument]) -> None:
    """Refuse a leverage that the venue does not give, and a stop loss that liquidation always precedes.

    Raises `UserError` naming both keys.
    """
    terms = graph.exchange.terms().margin
    spot = [instrument.pair for instrument in instruments if not instrument.settle]
    if spot and (market.funding or market.marks):
        key = "data.funding" if market.funding else "data.mark"
        raise UserError(f"{key}: {', '.join(spot)} is spot; funding and marks are those of perpetuals: leave it out")
    least = getattr(graph.exchange, "initial_margin", None)
    if least is not None and graph.account.leverage * least > 1.0 + 1e-12:
        raise UserError(
            f"account.leverage={graph.account.leverage:g}: {graph.exchange.name} gives at most {1 / least:g} "
            f"(exchange.initial_margin={least:g}); lower the leverage"
        )
    currencies = sorted({instrument.currency for instrument in instruments})
    if len(currencies) > 1:
        raise UserError(
            f"pairs: traded in {' and '.join(currencies)}; an account holds one currency: run each on its own"
        )
    stop = 0 if isinstance(graph.strategy, Scripted) else graph.risk.protection().stop_loss
    if terms.mode is not MarginMode.ISOLATED or not stop:
        return
    leverage = rate(graph.account.leverage)
    sides = (1, -1) if graph.account.short else (1,)
    kinds = {instrument.inverse for instrument in instruments}
    nearest = min(
        liquidation_distance(leverage, terms.maintenance, side, inverse) for side in sides for inverse in kinds
    )
    if stop / UNIT >= nearest:
        raise UserError(
            f"risk.position.stop_loss={stop / UNIT:g}: at account.leverage={graph.account.leverage:g} and "
            f"exchange.maintenance_margin={terms.maintenance / UNIT:g} a position is liquidated {nearest:.4f} from its "
            "entry, before the stop; set a nearer stop or less leverage"
        )
