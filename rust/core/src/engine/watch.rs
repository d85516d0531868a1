//! The state machine of the account's limits: marks and fills in, states and recorded triggers out.

use super::contract::{cost, value};
use super::limits::{Effect, Limits, Safety, Trigger};
use super::number::{FIX, UNIT};
use super::throttle::{drawdown_share, halved};

/// Fields of a recorded trigger; the last four are float64, given by their bits.
pub const EVENT_FIELDS: [&str; 13] = [
    "time",
    "trigger",
    "before",
    "after",
    "effect",
    "shadow",
    "pair",
    "order",
    "until",
    "value",
    "limit",
    "equity",
    "reference",
];
/// How many of [`EVENT_FIELDS`] are floats.
pub const EVENT_FLOATS: usize = 4;

/// A UTC day, ns.
const DAY: i64 = 86_400_000_000_000;

/// A limit that is exceeded: the state that follows, and the numbers that say so.
#[derive(Clone, Copy, Debug)]
pub struct Breach {
    /// Which limit.
    pub trigger: Trigger,
    /// What follows.
    pub state: Safety,
    /// What was measured.
    pub value: f64,
    /// What is allowed.
    pub limit: f64,
    /// What it was measured against.
    pub reference: f64,
    /// Pair, -1 for none.
    pub pair: i64,
}

impl Breach {
    fn of(trigger: Trigger, state: Safety, value: f64, limit: f64, reference: f64) -> Self {
        Breach { trigger, state, value, limit, reference, pair: -1 }
    }
}

/// A trigger as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    time: i64,
    before: Safety,
    after: Safety,
    effect: Effect,
    shadow: bool,
    order: i64,
    until: i64,
    equity: f64,
    breach: Breach,
}

impl Event {
    /// The event as a row of [`EVENT_FIELDS`].
    pub fn values(&self) -> [i64; 13] {
        let bits = |value: f64| value.to_bits() as i64;
        let Breach { trigger, value, limit, reference, pair, .. } = self.breach;
        [
            self.time,
            trigger.code(),
            self.before.code(),
            self.after.code(),
            self.effect.code(),
            i64::from(self.shadow),
            pair,
            self.order,
            self.until,
            bits(value),
            bits(limit),
            bits(self.equity),
            bits(reference),
        ]
    }
}

/// How far a pair's bars usually move: the exponential average of squared returns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moves {
    last: i64,
    variance: f64,
    count: i64,
    missing: i64,
}

impl Moves {
    const DECAY: f64 = 0.94;
    /// Returns before which nothing is known.
    const FIRST: i64 = 20;

    /// Counts a row without a bar.
    pub fn miss(&mut self) {
        self.missing += 1;
    }

    /// Takes a close; the absolute return and the volatility before it, None while that is not known.
    ///
    /// After missing bars the volatility is that of all the bars since the last close: it grows with the root of time.
    pub fn update(&mut self, close: i64) -> Option<(f64, f64)> {
        let last = std::mem::replace(&mut self.last, close);
        let bars = (std::mem::take(&mut self.missing) + 1) as f64;
        if last <= 0 {
            return None;
        }
        let moved = (close - last).abs() as f64 / last as f64;
        let (before, known) = (self.variance, self.count >= Self::FIRST);
        let square = moved * moved / bars;
        self.variance = if self.count == 0 { square } else { Self::DECAY * before + (1.0 - Self::DECAY) * square };
        self.count += 1;
        (known && before > 0.0).then(|| (moved, before.sqrt() * bars.sqrt()))
    }
}

/// Where the account stands with its limits.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The limits.
    pub limits: Limits,
    /// Where it stands.
    pub state: Safety,
    /// What brought it there.
    pub cause: Trigger,
    /// Usual moves per pair; empty without that limit.
    pub moves: Vec<Moves>,
    /// Positions opened today.
    pub opened: i64,
    /// Share of its size that a new position keeps, 10^-9.
    pub share: i64,
    /// What was recorded.
    pub events: Vec<Event>,
    until: i64,
    high: f64,
    day_start: f64,
    equity: f64,
    day: i64,
    /// Whether the loss of the day was at its limit at a mark inside it.
    lost: bool,
    streak: i64,
    flow: Vec<i128>,
}

fn rate(limit: i64) -> f64 {
    limit as f64 / UNIT as f64
}

impl Watch {
    /// An account before its first row.
    pub fn new(limits: Limits, cash: i128, n_pairs: usize) -> Self {
        let start = cash as f64 / 1e16;
        Watch {
            limits,
            state: Safety::Normal,
            cause: Trigger::None,
            moves: if limits.black_swan >= 0 { vec![Moves::default(); n_pairs] } else { Vec::new() },
            opened: 0,
            share: FIX,
            events: Vec::new(),
            until: 0,
            high: start,
            day_start: start,
            equity: start,
            day: -1,
            lost: false,
            streak: 0,
            flow: vec![0; n_pairs],
        }
    }

    /// What the state does to orders; nothing in the shadow.
    #[inline]
    pub fn effect(&self) -> Effect {
        if self.limits.shadow { Effect::None } else { self.effect_of(self.state) }
    }

    fn effect_of(&self, state: Safety) -> Effect {
        match state {
            Safety::Killed => self.limits.system_effect,
            // What was opened within the number of trades may go on.
            Safety::DailyHalt if self.cause == Trigger::MaxTrades => Effect::ReduceOnly,
            Safety::DailyHalt => self.limits.day_effect,
            Safety::Throttled if matches!(self.cause, Trigger::DrawdownThrottle | Trigger::LossThrottle) => {
                Effect::None
            }
            Safety::Cooldown | Safety::Throttled => Effect::ReduceOnly,
            Safety::Normal => Effect::None,
        }
    }

    /// Takes the marks of rows in which nothing else happens, `equity` at the closes `first`, `first` + `step`, ...
    /// Returns how many of them change nothing; the next has to be observed.
    pub fn pass(&mut self, first: i64, step: i64, equity: &[f64]) -> usize {
        let mut time = first;
        for (row, &mark) in equity.iter().enumerate() {
            if self.stirs(time, mark) {
                return row;
            }
            self.note(time, mark);
            time += step;
        }
        equity.len()
    }

    /// Whether a row's equity or its time changes the state.
    #[inline]
    pub fn stirs(&self, time: i64, equity: f64) -> bool {
        if self.state == Safety::Killed {
            return false;
        }
        let over = (self.state == Safety::DailyHalt || self.state == Safety::Cooldown) && time >= self.until;
        let high = self.high.max(equity);
        let open = self.state < Safety::DailyHalt || self.cause == Trigger::MaxTrades;
        over || self.drawdown(high, equity)
            || self.ends_lost(time, equity)
            || (open && self.day_loss(self.start(time, equity), equity))
    }

    /// Takes the marks of a row that changes no state.
    #[inline]
    pub fn note(&mut self, time: i64, equity: f64) {
        if time >= (self.day + 1) * DAY {
            (self.day_start, self.opened) = (self.start(time, equity), 0);
            (self.day, self.lost) = (time.div_euclid(DAY), false);
        }
        self.lost = self.lost || self.day_loss(self.day_start, equity);
        self.equity = equity;
        self.high = self.high.max(equity);
    }

    /// The equity that the day of an instant began with.
    #[inline]
    fn start(&self, time: i64, equity: f64) -> f64 {
        if self.day < 0 || time < (self.day + 1) * DAY {
            self.day_start
        } else if time % DAY == 0 {
            equity
        } else {
            self.equity
        }
    }

    /// Whether a day ends with a loss that was not there at any mark inside it.
    #[inline]
    fn ends_lost(&self, time: i64, equity: f64) -> bool {
        let ends = !self.lost && time >= (self.day + 1) * DAY && time % DAY == 0;
        ends && self.day_loss(self.day_start, equity)
    }

    #[inline]
    fn drawdown(&self, high: f64, equity: f64) -> bool {
        let limit = self.limits.max_drawdown;
        limit >= 0 && high > 0.0 && high - equity >= rate(limit) * high
    }

    #[inline]
    fn day_loss(&self, start: f64, equity: f64) -> bool {
        let limit = self.limits.max_loss;
        limit >= 0 && start > 0.0 && start - equity >= rate(limit) * start
    }

    /// Takes an instant's marks, in the order: the day, what time ends, peaks, limits.
    pub fn observe(&mut self, time: i64, equity: f64, swan: Option<Breach>, stale: Option<Breach>) {
        let (day, ended) = (self.day, self.ends_lost(time, equity).then(|| self.loss(equity)));
        self.note(time, equity);
        if (self.day != day && self.state == Safety::DailyHalt)
            || (self.state == Safety::Cooldown && time >= self.until)
        {
            self.streak = 0;
            self.move_to(time, Trigger::Timer, Safety::Normal);
        }
        if self.state == Safety::Killed {
            return;
        }
        let cooldown_ns = self.limits.cooldown_ns;
        let own = self.throttle();
        let throttle = stale.or(own);
        if self.state == Safety::Throttled && throttle.is_none_or(|breach| breach.trigger != self.cause) {
            self.move_to(time, Trigger::Within, Safety::Normal);
        }
        let (before, counted) = (self.state, self.cause == Trigger::MaxTrades);
        let lost = ended.or_else(|| self.day_loss(self.day_start, equity).then(|| self.loss(equity)));
        for breach in [self.system(), swan, lost, self.trades(), self.losses(), throttle] {
            // A loss may come to a day that was halted for the number of its trades, which does less.
            let worse = |breach: &Breach| counted && breach.trigger == Trigger::MaxLoss;
            let Some(breach) = breach.filter(|breach| breach.state > before || worse(breach)) else { continue };
            if breach.state > self.state || (worse(&breach) && self.state == before) {
                (self.state, self.cause) = (breach.state, breach.trigger);
                self.until = match breach.state {
                    Safety::Cooldown => time + cooldown_ns,
                    Safety::DailyHalt => (time.div_euclid(DAY) + 1) * DAY,
                    _ => 0,
                };
            }
            self.record(time, breach, before, -1);
        }
    }

    fn system(&self) -> Option<Breach> {
        let (high, limit) = (self.high, rate(self.limits.max_drawdown));
        let value = (high - self.equity) / high;
        self.drawdown(high, self.equity).then(|| Breach::of(Trigger::MaxDrawdown, Safety::Killed, value, limit, high))
    }

    /// What the loss of the day says, where it is at its limit.
    fn loss(&self, equity: f64) -> Breach {
        let (start, limit) = (self.day_start, rate(self.limits.max_loss));
        Breach::of(Trigger::MaxLoss, Safety::DailyHalt, (start - equity) / start, limit, start)
    }

    fn trades(&self) -> Option<Breach> {
        let (most, opened) = (self.limits.max_trades, self.opened);
        (most > 0 && opened >= most)
            .then(|| Breach::of(Trigger::MaxTrades, Safety::DailyHalt, opened as f64, most as f64, 0.0))
    }

    fn losses(&self) -> Option<Breach> {
        let (most, streak) = (self.limits.max_losses, self.streak);
        (most > 0 && streak >= most)
            .then(|| Breach::of(Trigger::MaxLosses, Safety::Cooldown, streak as f64, most as f64, 0.0))
    }

    /// Finds the share of its size that a new position keeps; what makes it smaller, if anything does.
    fn throttle(&mut self) -> Option<Breach> {
        let (limits, high) = (&self.limits, self.high);
        let (share, many) = (drawdown_share(limits, high, self.equity), halved(limits, self.streak));
        let (start, losses) = (rate(limits.throttle_from), limits.max_losses as f64 / 2.0);
        self.share = if limits.shadow { FIX } else { share / if many { 2 } else { 1 } };
        if share < FIX {
            let value = (high - self.equity) / high;
            return Some(Breach::of(Trigger::DrawdownThrottle, Safety::Throttled, value, start, high));
        }
        many.then(|| Breach::of(Trigger::LossThrottle, Safety::Throttled, self.streak as f64, losses, 0.0))
    }

    fn move_to(&mut self, time: i64, trigger: Trigger, state: Safety) {
        let before = std::mem::replace(&mut self.state, state);
        (self.cause, self.until) = (Trigger::None, 0);
        self.record(time, Breach::of(trigger, state, 0.0, 0.0, 0.0), before, -1);
    }

    fn record(&mut self, time: i64, breach: Breach, before: Safety, order: i64) {
        self.events.push(Event {
            time,
            before,
            after: self.state,
            effect: self.effect_of(self.state),
            shadow: self.limits.shadow,
            order,
            until: self.until,
            equity: self.equity,
            breach,
        });
    }

    /// Records that an order was cut or refused on its own account; the state stays.
    pub fn refuse(&mut self, time: i64, trigger: Trigger, value: f64, limit: f64, pair: i64, order: i64) {
        let breach = Breach { pair, ..Breach::of(trigger, self.state, value, limit, 0.0) };
        self.record(time, breach, self.state, order);
    }

    /// Begins anew, as a user says: peaks and the day count from the equity that there is.
    pub fn reset(&mut self, time: i64) {
        (self.high, self.day_start) = (self.equity, self.equity);
        (self.opened, self.streak, self.share, self.lost) = (0, 0, FIX, false);
        self.move_to(time, Trigger::Reset, Safety::Normal);
    }

    /// Counts a fill: a position opened, a trade that ended in a loss or a win, net of fees.
    pub fn fill(&mut self, pair: usize, side: i64, qty: i64, price: i64, fee: i128, change: Change) {
        if !self.limits.counts_trades() {
            return;
        }
        let Change { before, after, lot, inverse } = change;
        let turned = (before > 0 && after < 0) || (before < 0 && after > 0);
        let (was, is_open) = (before.abs() >= lot, after.abs() >= lot);
        if was && turned {
            let closing = before.abs().min(qty);
            let part = (fee * i128::from(closing)).div_euclid(i128::from(qty));
            let profit = self.flow[pair] - cost(inverse, side * closing, price) - part;
            self.close(profit);
            self.flow[pair] = -cost(inverse, side * (qty - closing), price) - (fee - part);
        } else {
            self.flow[pair] -= cost(inverse, side * qty, price) + fee;
            if was && !is_open {
                self.close(self.flow[pair] + value(inverse, after, price));
                self.flow[pair] = -value(inverse, after, price);
            }
        }
        self.opened += i64::from(is_open && (turned || !was));
    }

    fn close(&mut self, profit: i128) {
        if profit != 0 {
            self.streak = if profit < 0 { self.streak + 1 } else { 0 };
        }
    }
}

/// How a fill changed a position, and the lot below which there is none.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Position before.
    pub before: i64,
    /// Position after.
    pub after: i64,
    /// Quantity step.
    pub lot: i64,
    /// Whether the contract is inverse.
    pub inverse: bool,
}
