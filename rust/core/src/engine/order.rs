//! A working order: what the engine knows of one order while it lives, and the groups that protect positions.

use super::codes::{OrderType, Reason, State, Tif};
use super::fault::{Fault, raise};

/// An order as a script or an executor asks for it; prices 10^-8, 0 means not set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Index of the pair in name order.
    pub pair: usize,
    /// +1 buys, -1 sells.
    pub side: i64,
    /// Quantity, 10^-8.
    pub qty: i64,
    /// What makes it fill.
    pub kind: OrderType,
    /// Limit price.
    pub limit_price: i64,
    /// Stop price.
    pub stop_price: i64,
    /// Price distance of a trailing stop.
    pub trail: i64,
    /// How long it lives.
    pub tif: Tif,
    /// End of a good-till-date order, ns.
    pub expire_time: i64,
    /// Whether it may only rest.
    pub post_only: bool,
    /// Whether it may only reduce the position.
    pub reduce_only: bool,
    /// Stop price of the group that lives from its fill on.
    pub stop_loss: i64,
    /// Target price of that group.
    pub take_profit: i64,
    /// Trail distance of that group.
    pub bracket_trail: i64,
    /// Why it was sent.
    pub reason: Reason,
    /// Index into the run's tags.
    pub tag: i64,
    /// The parent order that it is a child of.
    pub parent: Option<u32>,
    /// What that parent has filled or working already.
    pub before: i64,
}

/// Prices of a reduce-only group, 0 means not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bracket {
    /// Stop price.
    pub stop_loss: i64,
    /// Target price.
    pub take_profit: i64,
    /// Distance of the trailing stop.
    pub trail: i64,
}

impl Bracket {
    /// What a request asks for, if anything.
    fn of(request: &Request) -> Option<Self> {
        let Request { stop_loss, take_profit, bracket_trail: trail, .. } = *request;
        (stop_loss != 0 || take_profit != 0 || trail != 0).then_some(Bracket { stop_loss, take_profit, trail })
    }
}

fn narrowed(index: i64) -> u32 {
    u32::try_from(index).unwrap_or_else(|_| raise(Fault::Units))
}

/// One order. Prices and quantities 10^-8, times ns.
#[derive(Clone, Debug)]
pub struct Order {
    /// Index of the pair in name order.
    pub pair: u32,
    /// Index into the run's tags.
    pub tag: u32,
    /// +1 buys, -1 sells.
    pub side: i8,
    /// What makes it fill.
    pub kind: OrderType,
    /// How long it lives.
    pub tif: Tif,
    /// Whether it may only rest.
    pub post_only: bool,
    /// Whether it may only reduce the position.
    pub reduce_only: bool,
    /// Why it was sent.
    pub reason: Reason,
    /// End of a good-till-date order, ns.
    pub expire_time: i64,
    /// Prices of the group that lives from its fill on.
    pub bracket: Option<Bracket>,
    /// Quantity sent.
    pub qty: i64,
    /// Quantity that funds cover; the rest is cancelled.
    pub allowed: i64,
    /// What its parent had filled or working when it was sent.
    pub before: i64,
    /// Quantity filled.
    pub filled: i64,
    /// Limit price on the tick.
    pub limit: i64,
    /// Stop price on the tick.
    pub stop: i64,
    /// Distance of a trailing stop as a price.
    pub trail: i64,
    /// Distance of a trailing stop as a rate, 10^-8.
    pub trail_rate: i64,
    /// Price at which a stop acts.
    pub level: i64,
    /// Best price that a trailing stop has seen.
    pub best: i64,
    /// Why it ended unfilled.
    pub end_reason: Reason,
    /// Where it is in its life.
    pub state: State,
    /// Its decision, ns.
    pub time: i64,
    /// Grid row of its decision.
    pub row: i64,
    /// Whether portfolio and risk sent it, not a script.
    pub own: bool,
    /// Whether latency worsens its first open.
    pub late: bool,
    /// Market price at which a protective order was born in this bar, 0 once it acted there, afterwards and for orders
    /// that were sent.
    pub birth: i64,
    /// Whether a protective exit left it nothing but to close the position.
    pub closes_only: bool,
    /// Whether it was born inside the current bar.
    pub born_inside: bool,
    /// When a cancel reaches the exchange, -1 when none is under way.
    pub cancel_at: i64,
    /// Why it is being cancelled.
    pub cancel_reason: Reason,
    /// Why `allowed` is below `qty`.
    pub cut_reason: Reason,
    /// Group it belongs to.
    pub group: Option<u32>,
    /// Group that its fills made.
    pub child: Option<u32>,
}

impl Order {
    /// A new order, pending.
    pub fn new(request: Request, qty: i64, time: i64, row: i64, own: bool) -> Self {
        Order {
            pair: narrowed(request.pair as i64),
            tag: narrowed(request.tag),
            side: if request.side > 0 { 1 } else { -1 },
            kind: request.kind,
            tif: request.tif,
            post_only: request.post_only,
            reduce_only: request.reduce_only,
            reason: request.reason,
            expire_time: request.expire_time,
            bracket: Bracket::of(&request),
            qty,
            allowed: qty,
            before: request.before,
            filled: 0,
            limit: request.limit_price,
            stop: request.stop_price,
            trail: request.trail,
            trail_rate: 0,
            level: request.stop_price,
            best: 0,
            end_reason: Reason::None,
            state: State::Pending,
            time,
            row,
            own,
            late: false,
            birth: 0,
            closes_only: false,
            born_inside: false,
            cancel_at: -1,
            cancel_reason: Reason::None,
            cut_reason: Reason::None,
            group: None,
            child: None,
        }
    }

    /// Index of the pair in name order.
    #[inline]
    pub fn pair(&self) -> usize {
        self.pair as usize
    }

    /// Sign of the position change.
    #[inline]
    pub fn side(&self) -> i64 {
        i64::from(self.side)
    }

    /// Quantity that can still fill.
    #[inline]
    pub fn remaining(&self) -> i64 {
        self.allowed - self.filled
    }

    /// Whether it can still fill.
    #[inline]
    pub fn alive(&self) -> bool {
        self.state.alive()
    }

    /// Its limit price, or its stop price where it has none.
    #[inline]
    pub fn price(&self) -> i64 {
        if self.limit != 0 { self.limit } else { self.stop }
    }

    /// Whether it reserves funds while it rests; protective orders never do.
    #[inline]
    pub fn may_reserve(&self) -> bool {
        self.kind != OrderType::Market && !self.reduce_only
    }

    /// Whether the remainder is a market order: sent as one, or a triggered stop or trailing stop.
    #[inline]
    pub fn takes_market(&self) -> bool {
        self.kind == OrderType::Market
            || (self.state == State::Triggered && matches!(self.kind, OrderType::Stop | OrderType::Trailing))
    }

    /// Whether the remainder rests in the book as a limit order.
    #[inline]
    pub fn rests_as_limit(&self) -> bool {
        self.kind == OrderType::Limit || (self.kind == OrderType::StopLimit && self.state == State::Triggered)
    }

    /// Whether it was born where the market is past its level already.
    #[inline]
    pub fn past_level(&self) -> bool {
        if self.birth == 0 || !self.alive() {
            return false;
        }
        if self.waits_for_level() {
            return self.side() * (self.birth - self.level) >= 0;
        }
        self.rests_as_limit() && self.side() * (self.limit - self.birth) >= 0
    }

    /// Whether it is a stop whose level was not reached yet.
    #[inline]
    pub fn waits_for_level(&self) -> bool {
        self.state != State::Triggered
            && matches!(self.kind, OrderType::Stop | OrderType::StopLimit | OrderType::Trailing)
    }

    /// Changes the state; a change that the transition table does not allow is a fault of the engine.
    #[inline]
    pub fn advance(&mut self, state: State) {
        if !self.state.may_become(state) {
            raise(Fault::Transition(format!("order state {:?} -> {state:?}", self.state)));
        }
        self.state = state;
    }
}

/// Reduce-only orders of which one's fill reduces the others: at most a stop, a target and a trailing stop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Group {
    legs: [u32; 3],
    len: u8,
}

impl Group {
    /// Adds an order by its number.
    pub fn push(&mut self, order: usize) {
        self.legs[usize::from(self.len)] = order as u32;
        self.len += 1;
    }

    /// Order numbers, in the order in which they were made.
    pub fn legs(self) -> impl Iterator<Item = usize> {
        self.legs.into_iter().take(usize::from(self.len)).map(|leg| leg as usize)
    }
}
