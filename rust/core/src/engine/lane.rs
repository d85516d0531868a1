//! The commonest life of an order, in one go: a decision of the only pair while none but
//! protective orders work, then its market order
//! at the next open, where that opens or closes the whole position; its protection rests untouched meanwhile.
//!
//! Whatever could take another course is left to the step, with nothing done yet.

use super::callback::Callbacks;
use super::codes::{Liquidity, LogKind, Reason, Slippage, State};
use super::costs::fee_of;
use super::execution::Execution;
use super::market::{Bars, Market, PairColumns, REAL, Signals};
use super::number::{narrow, times, toward_zero};
use super::order::{Order, Request};
use super::portfolio::{Portfolio, Sizing};
use super::protection::Paid;
use super::quiet::{Levels, Stand};
use super::recorder::{Fill, Line};
use super::risk::Risk;
use super::simulator::Simulator;
use super::spec::Spec;
use super::state_machine::{Engine, Instant};

/// Takes a decision and its fill together.
#[derive(Debug, Default)]
pub struct Lane {
    wanted: Vec<Option<i64>>,
}

/// What a decision asks for.
struct Wish {
    target: i64,
    side: i64,
    qty: i64,
    closes: bool,
}

impl Lane {
    /// A lane, where nothing that a specification switches on can act on such an order.
    pub fn of(spec: &Spec, market: &Market<'_>) -> Option<Self> {
        let alone = spec.instruments.len() == 1 && market.detail.is_none() && !spec.scripted;
        let at_once = spec.latency_ns == 0 && spec.execution == Execution::Market;
        let as_printed = spec.slippage == Slippage::None && spec.sigma.is_none() && spec.mean_volume.is_none();
        let one_fee = spec.tiers.len() == 1 && !spec.fee_in_base;
        let known = spec.portfolio != Portfolio::Callback && spec.risk != Risk::Callback && spec.volatility.is_none();
        let on_change = spec.rebalance_bars == 0 && !(spec.band >= 0 && spec.drifts);
        let plain = alone && at_once && as_printed && one_fee && known && on_change;
        plain.then(Lane::default)
    }

    /// Takes the rows `row` and `row` + 1 and returns their equity; None where they need the step.
    pub fn trade(
        &mut self,
        engine: &mut Engine,
        market: &Market<'_>,
        signals: Signals<'_>,
        calls: &mut dyn Callbacks,
    ) -> Option<[f64; 2]> {
        let (pair, weights, row, sim) = (&market.pairs[0], &signals.forecast[0], signals.at, &engine.sim);
        let next = row + 1;
        let (open, seen) = (*pair.open.get(next)?, weights.at(row));
        let changed = seen != engine.decider.forecast[0] && weights.at(next) == seen;
        let traded = pair.state[row] == REAL && pair.state[next] == REAL && pair.volume[next] > 0;
        if !changed || !traded || sim.stopped_row[0] >= 0 {
            return None;
        }
        let (now, then) = (Bars { pairs: market.pairs, at: row }, Bars { pairs: market.pairs, at: next });
        let Wish { target, side, qty, closes } = self.wish(engine, now, seen)?;
        let untouched = || closes && stand(sim, pair, row, open).is_some_and(|stand| stand.clear);
        if !sim.live[0].is_empty() && !untouched() {
            return None;
        }
        let sim = &mut engine.sim;
        let rate = sim.spec.tiers[0].taker;
        let most = sim.capacity(then, 0);
        if qty > most || !(closes || sim.may_open(side, qty, open, rate)) {
            return None;
        }
        let marks = sim.ledger.marks(now);
        engine.exposure.add(marks.equity, marks.gross);
        (engine.decider.forecast[0], engine.decider.target[0]) = (seen, target);

        let open_time = market.open_time(next, sim.spec.timeframe_ns);
        let (decided, order) = (market.open_time(row, sim.spec.timeframe_ns) + sim.spec.timeframe_ns, sim.orders.len());
        let reason = if closes { Reason::ExitSignal } else { Reason::EntrySignal };
        let request = Request { side, qty, reduce_only: closes, reason, ..Request::default() };
        let mut filled = Order::new(request, qty, decided, row as i64, true);
        (filled.filled, filled.state) = (qty, State::Filled);
        sim.orders.push(filled);
        let line = Line { kind: LogKind::Submit, order: order as u32, time: decided, qty, reason };
        sim.record.lines.push(line);

        let fee = fee_of(times(qty, open), rate);
        sim.ledger.book(0, side, qty, open, fee, 0);
        sim.record.fills.push(Fill {
            row: next as u32,
            open_phase: true,
            pair: 0,
            side: side as i8,
            qty,
            price: open,
            fee_is_base: false,
            fee,
            slip: 0,
            liquidity: Liquidity::Taker,
            order: order as u32,
            ambiguous: false,
        });
        (sim.gap[0], sim.touched[0]) = (0, true);
        (sim.row, sim.row_open) = (next as i64, open_time);
        (sim.open_time, sim.close_time) = (open_time, open_time + sim.spec.timeframe_ns);
        if closes {
            sim.close_groups(order, 0);
            sim.live[0].clear();
            sim.protection[0] = None;
        } else {
            sim.entry_row[0] = next as i64;
            (sim.open_phase, sim.worth, sim.reserving, sim.cap_left[0]) = (true, None, false, most - qty);
            sim.protection[0] = sim.protect(order, Paid { market: open, price: open }, qty);
            if !sim.live[0].is_empty() {
                live_through(sim, pair, then);
            }
        }
        if sim.live[0].is_empty() && (closes || sim.spec.protection.max_bars == 0) {
            let after = sim.ledger.marks(then);
            engine.exposure.add(after.equity, after.gross);
            return Some([marks.equity, after.equity]);
        }
        let news = Signals { at: next, ..signals };
        let instant = Instant { row: next as i64, open_time, bars: then, signals: news, finer: None, news: false };
        Some([marks.equity, engine.settle(&instant, calls).equity])
    }

    /// What portfolio and risk want, where it is an admissible order that opens or closes the whole position.
    fn wish(&mut self, engine: &Engine, now: Bars<'_>, seen: i64) -> Option<Wish> {
        let Engine { sim, .. } = engine;
        let (spec, close, position) = (&sim.spec, now.close(0), sim.ledger.position[0]);
        let instrument = spec.instruments[0];
        let equity = sim.ledger.equity(now);
        let sizing = Sizing {
            equity,
            leverage: spec.leverage,
            stop_rate: spec.protection.stop_loss,
            periods_root: spec.periods_root,
            price: &[close],
            forecast: &[seen],
            volatility: &[],
        };
        spec.portfolio.targets(&sizing, &mut self.wanted);
        let raw = self.wanted.first().copied().flatten()?;
        if raw < 0 && !spec.short {
            return None;
        }
        let approved = spec.risk.approve(equity, close, toward_zero(raw, instrument.lot));
        let target = toward_zero(approved, instrument.lot);
        let delta = toward_zero(narrow(i128::from(target) - i128::from(position)), instrument.lot);
        let (opens, closes) = (position == 0 && delta != 0, target == 0 && position != 0 && delta == -position);
        let (side, qty) = (delta.signum(), delta.abs());
        let admitted = qty >= instrument.qty_min && times(qty, close) >= instrument.cost_min;
        (admitted && (opens || closes)).then_some(Wish { target, side, qty, closes })
    }
}

/// Where protection stands after a bar that leaves it alone.
fn stand(sim: &Simulator, pair: &PairColumns<'_>, row: usize, open: i64) -> Option<Stand> {
    Levels::of(sim, 0)?.after(sim, pair, row, open)
}

/// Takes newly born protection through the rest of its first bar.
fn live_through(sim: &mut Simulator, pair: &PairColumns<'_>, bars: Bars<'_>) {
    let Some(stand) = Levels::around(sim, 0).and_then(|levels| levels.after(sim, pair, bars.at, bars.open(0))) else {
        sim.finish(bars);
        sim.expire();
        return;
    };
    if let Some((id, best, level)) = stand.trail {
        (sim.orders[id].best, sim.orders[id].level) = (best, level);
    }
    for &id in &sim.live[0] {
        sim.orders[id].birth = 0;
    }
}
