//! The commonest life of a lone pair, in one loop: a decision where the forecast changes, its market order at the next
//! open, where that opens or closes the whole position, and rows in between in which protection is not reached.
//!
//! Whatever could take another course is left to the step, with nothing done yet.

use super::batch::Run;
use super::callback::Callbacks;
use super::changes::Changes;
use super::codes::{Liquidity, LogKind, Reason, Slippage, State};
use super::costs::fee_of;
use super::execution::Execution;
use super::guard::Guard;
use super::limits::Effect;
use super::market::{Bars, Market, PairColumns, REAL};
use super::number::{narrow, times, toward_zero};
use super::order::{Order, Request};
use super::portfolio::{Portfolio, Sizing};
use super::protection::Parent;
use super::quiet::own_clock;
use super::recorder::{Fill, Line};
use super::risk::Risk;
use super::simulator::Simulator;
use super::spec::{Protection, Spec};
use super::state_machine::{Engine, Instant};

/// Takes a lone pair from one change of its forecast to the next.
#[derive(Debug)]
pub struct Lane {
    changes: Changes,
    guard: Option<Guard>,
    wanted: Vec<Option<i64>>,
}

/// What a decision asks for.
struct Wish {
    target: i64,
    side: i64,
    qty: i64,
    closes: bool,
}

/// How far a trade came.
enum Taken {
    /// Nothing was done.
    Nothing,
    /// The decision's row alone.
    Decision,
    /// That and the fill in the bar after it, whose own decision is missing: the forecast changes again.
    Fill,
    /// Both rows.
    Both,
}

impl Lane {
    /// A lane, where nothing that a specification switches on can act on such an order.
    pub fn of(spec: &Spec, market: &Market<'_>) -> Option<Self> {
        let alone = spec.instruments.len() == 1 && market.detail.is_none() && !spec.scripted;
        let at_once = spec.latency_ns == 0 && spec.execution == Execution::Market && spec.plan.is_none();
        let as_printed = spec.slippage == Slippage::None && spec.sigma.is_none() && spec.mean_volume.is_none();
        let one_fee = spec.tiers.len() == 1 && !spec.fee_in_base;
        let known = spec.portfolio != Portfolio::Callback && spec.risk != Risk::Callback && spec.volatility.is_none();
        let on_change = spec.rebalance_bars == 0 && !(spec.band >= 0 && spec.drifts);
        let held = spec.protection.max_bars != 1;
        let plain =
            spec.limits.of_equity_alone() && alone && at_once && as_printed && one_fee && known && on_change && held;
        let Protection { stop_loss, take_profit, trailing, .. } = spec.protection;
        let ranges = (stop_loss, take_profit, trailing) != (0, 0, 0);
        plain.then(|| Lane { changes: Changes::new(ranges), guard: None, wanted: Vec::new() })
    }

    /// Takes the rows from `row` on as far as it can and returns the first that it left to the step.
    pub fn drive(
        &mut self,
        run: &mut Run<'_>,
        engine: &mut Engine,
        calls: &mut dyn Callbacks,
        mut row: usize,
    ) -> usize {
        let (pair, weights) = (&run.market.pairs[0], &run.forecast[0]);
        while row < weights.len() && free(engine) && engine.sim.watch.effect() == Effect::None {
            let change = self.changes.next(weights, pair, engine.decider.forecast[0], row);
            let limit = change.min(own_clock(&engine.sim, &engine.decider, 0, row));
            let at = self.guard.as_mut().map_or(limit, |guard| guard.follow(pair, row, limit));
            if at > row {
                row = run.pass(engine, row, at, false);
            }
            if row < change || row == weights.len() {
                break;
            }
            let rows = self.trades(run, engine, calls, row);
            if rows == 0 {
                break;
            }
            row += rows;
        }
        self.let_work(&mut engine.sim);
        engine.sim.touched[0] = true;
        row
    }

    /// Trades at `row`, and on while the forecast changes in the very next bar; returns how many rows that took.
    fn trades(&mut self, run: &mut Run<'_>, engine: &mut Engine, calls: &mut dyn Callbacks, row: usize) -> usize {
        let mut taken = 0;
        loop {
            match self.trade(run, engine, calls, row + taken, taken > 0) {
                Taken::Nothing if taken == 0 => return 0,
                Taken::Nothing => {
                    self.let_work(&mut engine.sim);
                    self.settle(run, engine, calls, row + taken, true);
                    return taken + 1;
                }
                Taken::Decision => return taken + 1,
                Taken::Fill => taken += 1,
                Taken::Both => return taken + 2,
            }
        }
    }

    /// Hands protection over to the exchange.
    fn let_work(&mut self, sim: &mut Simulator) {
        if let Some(guard) = self.guard.take() {
            guard.rest(sim);
        }
    }

    /// Takes the decision of `row`, at which the forecast changes, and the fill in the next bar.
    ///
    /// `begun` where the bar `row` was played already and only its decision is missing.
    fn trade(
        &mut self,
        run: &mut Run<'_>,
        engine: &mut Engine,
        calls: &mut dyn Callbacks,
        row: usize,
        begun: bool,
    ) -> Taken {
        let (pair, weights, next) = (&run.market.pairs[0], &run.forecast[0], row + 1);
        let (seen, sim) = (weights.at(row), &engine.sim);
        let (now, then) = (Bars { pairs: run.market.pairs, at: row }, Bars { pairs: run.market.pairs, at: next });
        if run.stirs(engine, now) {
            return Taken::Nothing;
        }
        let Some(wish) = self.wish(engine, now, seen) else { return Taken::Nothing };
        if wish.qty == 0 {
            adopt(engine, seen, &wish);
            run.mark(engine, now);
            return Taken::Decision;
        }
        let Some(&open) = pair.open.get(next) else { return Taken::Nothing };
        if pair.state[next] != REAL || pair.volume[next] <= 0 {
            return Taken::Nothing;
        }
        let from = if begun { next } else { row };
        if self.guard.as_ref().is_some_and(|guard| !wish.closes || !guard.outlasts(pair, from, next, open)) {
            return Taken::Nothing;
        }
        let most = sim.capacity(then, 0);
        if wish.qty > most || !(wish.closes || sim.may_open(wish.side, wish.qty, open, sim.spec.tiers[0].taker)) {
            return Taken::Nothing;
        }
        run.mark(engine, now);
        adopt(engine, seen, &wish);
        let sim = &mut engine.sim;
        let length = sim.spec.timeframe_ns;
        let (decided, open_time) = (run.market.open_time(row, length) + length, run.market.open_time(next, length));
        (sim.gap[0], sim.row, sim.row_open) = (0, next as i64, open_time);
        (sim.open_time, sim.close_time) = (open_time, open_time + length);
        self.deal(sim, &wish, open, decided, row);
        let turns = weights.at(next) != seen;
        if wish.closes {
            sim.protection[0] = None;
        } else {
            (sim.entry_row[0], sim.open_phase, sim.worth, sim.reserving) = (next as i64, true, None, false);
            sim.cap_left[0] = most - wish.qty;
            let parent = Parent { pair: 0, side: wish.side, time: decided, own: true, tag: 0 };
            self.guard = Guard::of(sim, parent, wish.qty, open);
            if !self.outlived(sim, pair, then) {
                self.settle(run, engine, calls, next, turns);
                return Taken::Both;
            }
        }
        if turns {
            return Taken::Fill;
        }
        if run.stirs(engine, then) {
            self.let_work(&mut engine.sim);
            self.settle(run, engine, calls, next, false);
            return Taken::Both;
        }
        run.mark(engine, then);
        Taken::Both
    }

    /// Marks a bar that was played and takes its decision, as the step does.
    fn settle(&self, run: &mut Run<'_>, engine: &mut Engine, calls: &mut dyn Callbacks, row: usize, news: bool) {
        let open_time = run.market.open_time(row, engine.sim.spec.timeframe_ns);
        let (bars, signals) = (Bars { pairs: run.market.pairs, at: row }, run.signals(row));
        let instant =
            Instant { row: row as i64, open_time, bars, signals, finer: None, marks: None, funding: &[], news };
        let marks = engine.settle(&instant, calls);
        run.write(row, marks.equity);
    }

    /// Sends and fills the order, and takes back what protected the position that it closes.
    fn deal(&mut self, sim: &mut Simulator, wish: &Wish, open: i64, decided: i64, row: usize) {
        let Wish { side, qty, closes, .. } = *wish;
        let first = sim.orders.len();
        let guard = self.guard.take();
        if let Some(guard) = &guard {
            guard.file(&mut sim.orders, &mut sim.record.lines);
        }
        let reason = if closes { Reason::ExitSignal } else { Reason::EntrySignal };
        let request = Request { side, qty, reduce_only: closes, reason, ..Request::default() };
        let mut filled = Order::new(request, qty, decided, row as i64, true);
        (filled.filled, filled.state) = (qty, State::Filled);
        let order = sim.orders.file(&filled) as u32;
        sim.record.lines.push(Line { kind: LogKind::Submit, order, time: decided, qty, reason });

        let fee = fee_of(times(qty, open), sim.spec.tiers[0].taker);
        sim.ledger.book(0, side, qty, open, fee, 0);
        sim.record.fills.push(Fill {
            row: sim.row as u32,
            open_phase: true,
            pair: 0,
            side: side as i8,
            qty,
            price: open,
            fee_is_base: false,
            fee,
            slip: 0,
            liquidity: Liquidity::Taker,
            order,
            ambiguous: false,
        });
        if let Some(guard) = &guard {
            guard.cancel(first, sim.close_time, &mut sim.record.lines);
        }
    }

    /// Takes newly born protection through the rest of its first bar; false where the exchange had to.
    fn outlived(&mut self, sim: &mut Simulator, pair: &PairColumns<'_>, bars: Bars<'_>) -> bool {
        let Some(mut guard) = self.guard.take() else { return true };
        if guard.follow(pair, bars.at, bars.at + 1) > bars.at {
            self.guard = Some(guard);
            return true;
        }
        guard.born(sim);
        sim.finish(bars, bars);
        sim.expire();
        false
    }

    /// What portfolio and risk want, where it is to stay out, or an admissible order that opens or closes the whole
    /// position.
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
            position: &[position],
            forecast: &[seen],
            volatility: &[],
        };
        spec.portfolio.targets(&sizing, &mut self.wanted);
        let raw = self.wanted.first().copied().flatten()?;
        let asked = if raw < 0 && !spec.short { 0 } else { toward_zero(raw, instrument.lot) };
        let approved = spec.risk.approve(equity, close, asked);
        let target = toward_zero(approved, instrument.lot);
        let delta = toward_zero(narrow(i128::from(target) - i128::from(position)), instrument.lot);
        let (opens, closes) = (position == 0 && delta != 0, target == 0 && position != 0 && delta == -position);
        let (side, qty) = (delta.signum(), delta.abs());
        if target == 0 && position == 0 {
            return Some(Wish { target, side, qty, closes: false });
        }
        (instrument.takes(qty, close) && (opens || closes)).then_some(Wish { target, side, qty, closes })
    }
}

/// Whether no order works and none but a change of the forecast arms the pair again.
fn free(engine: &Engine) -> bool {
    let Engine { sim, decider, .. } = engine;
    let armed = sim.stopped_row[0] < 0 || (sim.spec.rearm_bars == 0 && decider.target[0] == 0);
    sim.live[0].is_empty() && armed
}

/// Lets a changed forecast and its target stand, which arms the pair.
fn adopt(engine: &mut Engine, seen: i64, wish: &Wish) {
    (engine.decider.forecast[0], engine.decider.target[0]) = (seen, wish.target);
    engine.sim.stopped_row[0] = -1;
}
