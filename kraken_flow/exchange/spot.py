"""A spot exchange: what its orders must look like, what they cost, and how the simulator fills them."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, ClassVar, Literal

import annotated_types

from kraken_flow.core.account import Exchange
from kraken_flow.core.contract import BorrowTerms, MarginMode, MarginTerms
from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import Source
from kraken_flow.core.instrument import Instrument, Origin, settled_in, split_pair
from kraken_flow.core.market import Market
from kraken_flow.core.node import Amount, Factor, LeastAmount, NonNegative, Rate, node
from kraken_flow.core.orders import FillPath
from kraken_flow.core.terms import Slippage, Terms, Tier
from kraken_flow.core.times import parse_duration, parse_timeframe
from kraken_flow.core.units import CASH_DECIMALS, LARGEST_RATE, PRICE_DECIMALS, UNIT, parse, rate, rate_bps

FeeBps = Annotated[float, annotated_types.Ge(-LARGEST_RATE), annotated_types.Le(LARGEST_RATE)]
"""Basis points of a fee; below 0 they are a rebate."""


@node
class FeeTier:
    """Fees from a 30-day traded volume on."""

    maker_bps: FeeBps
    """Fee of a resting order, basis points; negative is a rebate."""
    taker_bps: FeeBps
    """Fee of an order that takes liquidity, basis points."""


@node
class Fees:
    """What a fill costs, by the liquidity flag that was simulated."""

    maker_bps: FeeBps | None = None
    """Flat maker fee in basis points; setting it (or taker_bps) switches the tier table off."""
    taker_bps: FeeBps | None = None
    """Flat taker fee in basis points; the other one then comes from the first tier."""
    currency: Literal["quote", "base"] = "quote"
    """Whether buys pay their fee in quote or in the base received; sells always pay in quote."""
    tiers: Mapping[NonNegative[int], FeeTier] = field(
        default_factory=lambda: {0: FeeTier(maker_bps=0.0, taker_bps=0.0)}
    )
    """Fee table: 30-day volume in quote units -> fees. Past fills only decide the tier."""

    def table(self) -> tuple[Tier, ...]:
        """Return the tiers in force as integers, ascending."""
        if not self.tiers or min(self.tiers) != 0:
            raise UserError("exchange.fees.tiers: the table needs a tier that starts at volume 0")
        steps = sorted(self.tiers.items())
        if self.maker_bps is not None or self.taker_bps is not None:
            first = steps[0][1]
            maker = first.maker_bps if self.maker_bps is None else self.maker_bps
            taker = first.taker_bps if self.taker_bps is None else self.taker_bps
            return (Tier(0, rate_bps(maker), rate_bps(taker)),)
        unit = 10**CASH_DECIMALS
        return tuple(Tier(volume * unit, rate_bps(t.maker_bps), rate_bps(t.taker_bps)) for volume, t in steps)


@node
class SlippageModel:
    """How far an order that takes liquidity moves the price against itself; always rounded to the tick adversely."""

    model: Literal["none", "bps", "half_spread", "sqrt_impact", "volume_share"] = "none"
    """`bps` of the price; a fixed `half_spread`; sqrt_impact: factor x sigma x sqrt(order / volume); volume_share:
    factor x (order / bar volume)^2."""
    bps: Rate | None = None
    """Basis points of the `bps` model, which needs them; 0 charges nothing."""
    half_spread: LeastAmount | None = None
    """Quote units added to buys and taken off sells by the `half_spread` model, which needs them: as many for each
    pair, whatever its price."""
    factor: Factor = 1.0
    """Factor of the impact models: Y of sqrt_impact (about 1 in Bitcoin), k of volume_share."""
    sigma: Source | None = None
    """Volatility per bar that sqrt_impact reads."""
    volume: Source | None = None
    """Mean volume per bar that sqrt_impact reads; sigma and volume of the same bar length give the daily formula."""

    def size(self) -> int:
        """Return the model's one number as an integer: a rate, or price units for half_spread."""
        if self.model == "bps":
            return rate_bps(self.bps or 0.0)
        if self.model == "half_spread":
            return parse(repr(self.half_spread or 0.0), PRICE_DECIMALS, "exchange.slippage.half_spread")
        return rate(self.factor)

    def check(self) -> None:
        """Refuse a model without what it reads."""
        if self.model == "sqrt_impact" and None in (self.sigma, self.volume):
            raise UserError("exchange.slippage: sqrt_impact needs the features sigma and volume")
        for name, number, unit in (
            ("bps", self.bps, "bps=5 (basis points of the price)"),
            ("half_spread", self.half_spread, "half_spread=0.5 (quote units)"),
        ):
            if self.model == name and number is None:
                raise UserError(
                    f"exchange.slippage.model={name}: without its number it would charge nothing; set "
                    f"exchange.slippage.{name}, as in exchange.slippage.{unit}"
                )


@node
class FillModel:
    """Which prices inside a bar fill a resting order."""

    limit: Literal["through", "touch"] = "through"
    """Whether a limit order needs a trade through its price, or a touch is enough."""
    path: Literal["pessimistic", "ohlc", "olhc", "adaptive", "detail"] = "pessimistic"
    """How prices ran inside a bar: the worst admissible way; open-high-low-close; open-low-high-close; the nearer
    extreme first; or the finer bars of `detail`."""
    detail: str | None = None
    """Timeframe of the finer bars for path=detail, as in 15m: a file in the same folder."""


@node
class InstrumentTerms:
    """The grid and the minima of a pair's orders."""

    tick: Amount
    """Smallest price step of our orders."""
    lot: Amount = 1e-8
    """Smallest quantity step."""
    qty_min: LeastAmount = 0.0
    """Smallest order quantity."""
    cost_min: LeastAmount = 0.0
    """Smallest order notional in quote."""


@node
class BorrowedCoins:
    """What a short costs on top of its fees, by the notional at its entry."""

    opening_bps: Rate = 0.0
    """Basis points charged when coins are borrowed."""
    rollover_bps: Rate = 0.0
    """Basis points charged for each completed period; 0 borrows for nothing."""
    every: str = "4h"
    """Length of a period."""

    def terms(self) -> BorrowTerms:
        """Return the integers that the simulator charges."""
        if not self.opening_bps and not self.rollover_bps:
            return BorrowTerms()
        every = parse_duration(self.every, "exchange.borrow.every")
        if every <= 0:
            raise UserError(f"exchange.borrow.every={self.every}: must be longer than 0, as in 4h")
        return BorrowTerms(rate_bps(self.opening_bps), rate_bps(self.rollover_bps), every)


@node
class SpotExchange(Exchange):
    """A spot venue: instruments, fees, slippage, fill model and latency."""

    name: str
    """Name of the venue, as ccxt knows it."""
    fees: Fees = Fees()
    """What a fill costs."""
    slippage: SlippageModel = SlippageModel()
    """How far a taker's price moves."""
    fill: FillModel = FillModel()
    """What fills inside a bar."""
    participation_cap: Factor | None = 0.1
    """Largest share of a bar's volume that all own fills of a pair may take; null for no cap."""
    latency: str | int = "0"
    """Time from a decision until its order is at the venue, as in 500ms or 1h. Under one bar the order meets the next
    open, worsened by latency_bps; else the first bar that opens late enough."""
    latency_bps: Rate = 0.0
    """Basis points by which the next open is worsened where feed delay plus latency is above zero."""
    price_band: Factor | None = None
    """Orders priced further than this fraction from the last close are rejected; null for no band."""
    tick: Amount | None = None
    """Price step for all pairs, instead of the table's."""
    lot: Amount | None = None
    """Quantity step for all pairs, instead of the table's."""
    instruments_table: Mapping[str, InstrumentTerms] = field(default_factory=dict)
    """Known pairs and their terms; other pairs get theirs from the data."""

    borrow: BorrowedCoins = BorrowedCoins()
    """What borrowed coins of a short cost."""
    liquidation_level: Annotated[float, annotated_types.Gt(0), annotated_types.Le(1)] | None = None
    """Equity over used margin (entry value over leverage) at which the venue closes everything at the market, as in
    0.4, where cash or coins are borrowed; null where nothing is liquidated."""

    kernel: ClassVar[str | None] = "spot"

    def __post_init__(self) -> None:
        """Refuse values that contradict each other."""
        self.fees.table()
        self.borrow.terms()
        parse_duration(self.latency, "exchange.latency")
        if self.fill.path == "detail" and self.fill.detail is None:
            raise UserError("exchange.fill.detail: path=detail needs the finer timeframe, as in 15m")
        if self.fill.detail is not None:
            parse_timeframe(self.fill.detail, "exchange.fill.detail")
        self.slippage.check()

    def features(self) -> Mapping[str, Source]:
        """Return what sqrt_impact reads."""
        model = self.slippage
        if model.model != "sqrt_impact" or model.sigma is None or model.volume is None:
            return {}
        return {"sigma": model.sigma, "mean_volume": model.volume}

    def instruments(self, market: Market) -> tuple[Instrument, ...]:
        """Return one instrument per pair.

        It is from the table, else as the venue said whose bars they are, else tick = the data's decimals and lot 10^-8.
        """
        return tuple(self._instrument(pair, market) for pair in market.names)

    def _instrument(self, pair: str, market: Market) -> Instrument:
        base, quote = split_pair(pair)
        self.check_pair(pair)
        steps, origin = self._steps(pair, market)
        return Instrument(
            pair=pair,
            base=base,
            quote=quote,
            tick=steps["tick"] if self.tick is None else _units(self.tick, "exchange.tick"),
            lot=steps["lot"] if self.lot is None else _units(self.lot, "exchange.lot"),
            qty_min=steps["qty_min"],
            cost_min=steps["cost_min"] * UNIT,
            origin="override" if self.tick or self.lot else origin,
            settle=settled_in(pair),
        )

    def check_pair(self, pair: str) -> None:
        """Refuse a pair that the venue does not trade."""
        if settled_in(pair):
            raise UserError(
                f"pairs: {pair} is a perpetual, {self.name} is a spot venue; choose one of perpetuals, as in "
                "exchange=binance_perp or exchange=kraken_futures"
            )

    def _steps(self, pair: str, market: Market) -> tuple[Mapping[str, int], Origin]:
        """Return tick, lot and minima of a pair in units of 10^-8, and where they are from."""
        terms = self.instruments_table.get(pair)
        if terms is not None:
            names = ("tick", "lot", "qty_min", "cost_min")
            return {name: _units(getattr(terms, name), f"{pair} {name}") for name in names}, "table"
        if pair in market.terms:
            return market.terms[pair], "venue"
        decimals = market.decimals.get(pair, PRICE_DECIMALS)
        return {"tick": 10 ** (PRICE_DECIMALS - decimals), "lot": 1, "qty_min": 0, "cost_min": 0}, "data"

    def terms(self) -> Terms:
        """Return the integers that the simulator plays."""
        cap, band = self.participation_cap, self.price_band
        return Terms(
            tiers=self.fees.table(),
            fee_in_base=self.fees.currency == "base",
            slippage=Slippage[self.slippage.model.upper()],
            slippage_size=self.slippage.size(),
            latency_ns=parse_duration(self.latency, "exchange.latency"),
            latency_rate=rate_bps(self.latency_bps),
            limit_touch=self.fill.limit == "touch",
            path=FillPath[self.fill.path.upper()],
            participation=-1 if cap is None else rate(cap),
            price_band=-1 if band is None else rate(band),
            margin=self.margin_terms(),
            borrow=self.borrow.terms(),
        )

    def margin_terms(self) -> MarginTerms:
        """Return when the venue liquidates."""
        if self.liquidation_level is None:
            return MarginTerms()
        return MarginTerms(MarginMode.LEVEL, rate(self.liquidation_level))


def _units(value: float, what: str) -> int:
    return parse(f"{value:.12f}".rstrip("0"), PRICE_DECIMALS, what)
