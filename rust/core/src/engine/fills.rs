//! Fills: what an order pays, how much of it fills, and what becomes of the rest.

use super::admission::hold_to_trades;
use super::codes::{Liquidity, Reason, Slippage, State, Tif};
use super::contract::quoted;
use super::costs::{Taking, fee_of, moved, slipped};
use super::margin::Asked;
use super::market::Bars;
use super::number::{FIX_NAN, WIDE_UNIT, add, mul, narrow, times, to_lot};
use super::protection::Paid;
use super::recorder::Fill;
use super::simulator::Simulator;
use super::spec::Instrument;
use super::watch::Change;

impl Simulator {
    /// Fills as taker at `price`, moved by slippage and latency where `slip`.
    pub fn take(&mut self, bars: Bars<'_>, id: usize, price: i64, slip: bool) {
        if self.orders[id].reason == Reason::Liquidation {
            self.close_out(id);
            return;
        }
        let paid = if slip { self.slipped(bars, id, price) } else { price };
        self.fill(bars, id, price, paid, Liquidity::Taker);
    }

    /// Fills a resting limit order at its own price as maker.
    pub fn make(&mut self, bars: Bars<'_>, id: usize) {
        let price = self.orders[id].limit;
        self.fill(bars, id, price, price, Liquidity::Maker);
    }

    /// The price that a late limit order meets: worsened by latency alone.
    pub fn worsened(&self, id: usize, price: i64) -> i64 {
        let order = &self.orders[id];
        let offset = times(price, self.spec.latency_rate);
        moved(price, offset, order.side(), self.spec.instruments[order.pair()].tick)
    }

    fn slipped(&mut self, bars: Bars<'_>, id: usize, price: i64) -> i64 {
        let order = &self.orders[id];
        let late = order.late;
        if self.spec.slippage == Slippage::None && !late {
            return price;
        }
        let p = order.pair();
        let sigma = self.sigma.get(p).copied().unwrap_or(FIX_NAN);
        let mean_volume = self.mean_volume.get(p).copied().unwrap_or(FIX_NAN);
        if self.spec.slippage == Slippage::SqrtImpact && (sigma == FIX_NAN || mean_volume == FIX_NAN) {
            self.record.impact_without_estimate += 1;
        }
        let taking = Taking {
            side: order.side(),
            qty: order.qty,
            before: order.before,
            volume: bars.volume(p),
            late,
            sigma,
            mean_volume,
            tick: self.spec.instruments[p].tick,
        };
        slipped(&self.spec, price, &taking)
    }

    /// Fills as much as position, permission, funds and participation allow; ends what can never fill.
    fn fill(&mut self, bars: Bars<'_>, id: usize, printed: i64, price: i64, liquidity: Liquidity) {
        let order = &self.orders[id];
        let (p, side, fok) = (order.pair(), order.side(), order.tif == Tif::Fok);
        let lot = self.spec.instruments[p].lot;
        let held = (-side * self.ledger.position[p]).max(0);
        let (maker, taker) = self.fees.rates(self.time);
        let rate = if liquidity == Liquidity::Maker { maker } else { taker };
        let mut want = order.remaining();
        let mut cut = Reason::None;
        if (order.reduce_only || order.closes_only) && want > held {
            (want, cut) = (to_lot(held, lot), Reason::ReduceOnly);
        } else if !self.spec.short && side < 0 && want > held {
            (want, cut) = (to_lot(held, lot), Reason::ShortForbidden);
        }
        if want > held {
            let covered = self.affordable(bars, id, price, want, rate, held);
            if covered < want {
                (want, cut) = (covered, Reason::InsufficientFunds);
                self.record.funds_cuts += 1;
            }
        }
        let qty = want.min(self.cap_left[p]);
        let order = &self.orders[id];
        if fok && qty < order.qty - order.filled {
            let known = [cut, order.cut_reason].into_iter().find(|&reason| reason != Reason::None);
            self.end(id, State::Cancelled, known.unwrap_or(Reason::FokUnfilled));
            return;
        }
        if cut != Reason::None {
            let order = &mut self.orders[id];
            order.allowed = order.filled + want;
            order.cut_reason = cut;
        }
        if qty > 0 {
            self.book(bars, id, qty, Deal { printed, price, liquidity, rate });
        }
        let order = &self.orders[id];
        if !order.alive() || order.remaining() != 0 {
            return;
        }
        if cut != Reason::None {
            let nothing = order.filled == 0 && order.state == State::Pending;
            self.end(id, if nothing { State::Rejected } else { State::Cancelled }, cut);
        } else if order.allowed < order.qty {
            self.end(id, State::Cancelled, order.cut_reason);
        } else {
            self.advance(id, State::Filled);
        }
    }

    fn book(&mut self, bars: Bars<'_>, id: usize, qty: i64, deal: Deal) {
        let Deal { printed, price, liquidity, rate } = deal;
        let order = &self.orders[id];
        let (p, side) = (order.pair(), order.side());
        let before = self.ledger.position[p];
        let notional = self.ledger.notional(p, qty, price);
        let in_base = self.spec.fee_in_base && side > 0;
        let fee_base = if in_base { narrow(fee_of(i128::from(qty), rate)) } else { 0 };
        let fee = if in_base { 0 } else { fee_of(notional, rate) };
        self.ledger.book(p, side, qty, price, fee, fee_base);
        if let Some((signed, absolute)) = &mut self.worth {
            let (was, is) = (times(before, bars.open(p)), times(self.ledger.position[p], bars.open(p)));
            *signed += is - was;
            *absolute += is.abs() - was.abs();
        }
        if self.spec.borrow.every_ns > 0 {
            self.borrowed(p, before, price);
        }
        self.fees.add(self.time, quoted(self.ledger.inverse(p), qty, price));
        self.cap_left[p] -= qty;
        let order = &mut self.orders[id];
        order.filled += qty;
        self.touched[p] = true;
        self.record.fills.push(Fill {
            row: self.row as u32,
            open_phase: self.time == self.row_open,
            pair: p as u32,
            side: side as i8,
            qty,
            price,
            fee_is_base: in_base,
            fee: if fee_base != 0 { i128::from(fee_base) } else { fee },
            slip: (notional - self.ledger.notional(p, qty, printed)).abs(),
            liquidity,
            order: id as u32,
            ambiguous: self.ambiguous,
        });
        if order.remaining() == 0 && order.allowed == order.qty {
            order.advance(State::Filled);
        }
        let change = Change {
            before,
            after: self.ledger.position[p],
            lot: self.spec.instruments[p].lot,
            inverse: self.ledger.inverse(p),
        };
        self.watch.fill(p, side, qty, price, fee, change);
        let closed = change.after.abs() < change.lot;
        if before.abs() >= change.lot && (closed || before.signum() * change.after.signum() < 0) {
            hold_to_trades(self, p, if closed { 0 } else { -side });
        }
        let market = if self.open_phase { bars.open(p) } else { printed };
        self.after_fill(id, qty, Paid { market, price }, before);
    }

    /// Cuts a newly resting order to what free balance covers at its price, at the dearer of both fees.
    pub fn reserve(&mut self, bars: Bars<'_>, id: usize, price: i64) {
        let order = &self.orders[id];
        let held = (-order.side() * self.ledger.position[order.pair()]).max(0);
        let remaining = order.remaining();
        if remaining <= held {
            return;
        }
        let (maker, taker) = self.fees.rates(self.time);
        let covered = self.affordable(bars, id, price, remaining, maker.max(taker), held);
        if covered < remaining {
            self.record.funds_cuts += 1;
            let order = &mut self.orders[id];
            order.allowed = order.filled + covered;
            order.cut_reason = Reason::InsufficientFunds;
            if covered == 0 {
                self.end(id, State::Rejected, Reason::InsufficientFunds);
            }
        }
    }

    /// Value of all positions at the bars' opens: (signed, absolute).
    fn worth(&mut self, bars: Bars<'_>) -> (i128, i128) {
        *self.worth.get_or_insert_with(|| {
            let (mut signed, mut absolute) = (0, 0);
            for (j, &position) in self.ledger.position.iter().enumerate() {
                if position != 0 {
                    let value = times(position, bars.open(j));
                    signed = add(signed, value);
                    absolute = add(absolute, value.abs());
                }
            }
            (signed, absolute)
        })
    }

    /// Cash reserved by resting orders other than `skip`: (notional, fees).
    fn reserved(&mut self, skip: usize) -> (i128, i128) {
        let (mut notional, mut fees) = (0, 0);
        if !self.reserving {
            return (0, 0);
        }
        let mut rate = None;
        for (p, live) in self.live.iter().enumerate() {
            let position = self.ledger.position[p];
            for &id in live {
                let order = &self.orders[id];
                if id == skip || !order.may_reserve() || !matches!(order.state, State::Active | State::Triggered) {
                    continue;
                }
                let growing = order.remaining() - (-order.side() * position).max(0);
                if growing > 0 {
                    let rate = *rate.get_or_insert_with(|| {
                        let (maker, taker) = self.fees.rates(self.time);
                        maker.max(taker)
                    });
                    let cost = self.ledger.notional(p, growing, order.price());
                    notional += cost;
                    fees += fee_of(cost, rate);
                }
            }
        }
        (notional, fees)
    }

    /// Whether an account without positions and without resting orders may open one of this size.
    pub(super) fn may_open(&self, side: i64, qty: i64, price: i64, rate: i64) -> bool {
        let (equity, leverage) = (self.ledger.cash, i128::from(self.spec.leverage));
        let in_base = self.spec.fee_in_base && side > 0;
        Funds { price, rate, side, own: 0, gross: 0, equity, leverage, in_base }.covered(qty)
    }

    /// The largest quantity on the lot grid, at most `want`, that funds cover at `price` and fee `rate`.
    ///
    /// Gross exposure may not exceed leverage times equity; other pairs are marked at the bar's open. `held` is the
    /// part that only closes the present position: it is always affordable. A cut leaves nothing below the venue's
    /// minima.
    pub fn affordable(&mut self, bars: Bars<'_>, id: usize, price: i64, want: i64, rate: i64, held: i64) -> i64 {
        let order = &self.orders[id];
        let (p, side) = (order.pair(), order.side());
        let (notional, fees) = self.reserved(id);
        let instrument = self.spec.instruments[p];
        if self.ledger.contract(p) {
            let covered = self.margin_cover(bars, Asked { id, price, rate, held }, (notional, fees));
            return largest(instrument, price, want, held, covered);
        }
        let own = self.ledger.position[p];
        let (mut worth, mut gross) = self.worth(bars);
        if own != 0 {
            let value = times(own, bars.open(p));
            worth -= value;
            gross -= value.abs();
        }
        let equity = self.ledger.cash - fees + worth + times(own, price);
        let gross = gross + notional;
        let funds = Funds {
            price,
            rate,
            side,
            own,
            gross,
            equity,
            leverage: i128::from(self.spec.leverage),
            in_base: self.spec.fee_in_base && side > 0,
        };
        largest(instrument, price, want, held, |qty| funds.covered(qty))
    }
}

/// The largest quantity on the lot grid, at most `want`, that is covered; `held` always is.
fn largest(instrument: Instrument, price: i64, want: i64, held: i64, covered: impl Fn(i64) -> bool) -> i64 {
    if want <= held || covered(want) {
        return want;
    }
    let (lot, closing) = (instrument.lot, held / instrument.lot);
    let (mut low, mut high) = (closing, want / lot + i64::from(want % lot != 0));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if covered(middle * lot) {
            low = middle;
        } else {
            high = middle;
        }
    }
    instrument.without_dust(low * lot, closing * lot, price)
}

/// The terms of one fill: the price of the market and the one paid, the side of the book, the fee's rate.
#[derive(Clone, Copy)]
struct Deal {
    printed: i64,
    price: i64,
    liquidity: Liquidity,
    rate: i64,
}

/// What decides whether a quantity is affordable.
struct Funds {
    price: i64,
    rate: i64,
    side: i64,
    own: i64,
    gross: i128,
    equity: i128,
    leverage: i128,
    in_base: bool,
}

impl Funds {
    fn covered(&self, qty: i64) -> bool {
        let price = i128::from(self.price);
        let fee_base = if self.in_base { fee_of(i128::from(qty), self.rate) } else { 0 };
        let fee = if self.in_base { mul(fee_base, price) } else { fee_of(times(qty, self.price), self.rate) };
        let position = i128::from(self.own) + i128::from(self.side) * i128::from(qty) - fee_base;
        let after = mul(position.abs(), price);
        mul(self.gross + after, WIDE_UNIT) <= mul(self.leverage, self.equity - fee)
    }
}
