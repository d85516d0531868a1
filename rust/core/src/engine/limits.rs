//! Limits of the account as a whole: what they are, what sets them off, and what they do then.

use super::codes::{Reason, codes};

codes! {
    /// Where the account stands; a higher state goes before a lower one.
    Safety {
        /// Free to trade.
        #[default]
        Normal = "NORMAL" 0,
        /// Without fresh prices of what is held.
        Throttled = "THROTTLED" 1,
        /// After losing trades in a row.
        Cooldown = "COOLDOWN" 2,
        /// A limit of the day was reached.
        DailyHalt = "DAILY_HALT" 3,
        /// A limit of the system was reached.
        Killed = "KILLED" 4,
    }
}

codes! {
    /// What a state does to orders; each does what the ones before it do, and more.
    Effect {
        /// Nothing.
        #[default]
        None = "NONE" 0,
        /// Orders that would open or enlarge a position are refused.
        ReduceOnly = "REDUCE_ONLY" 1,
        /// Such orders are taken back as well.
        Halt = "HALT" 2,
        /// Every position is closed as well.
        Flatten = "FLATTEN" 3,
    }
}

codes! {
    /// What set a limit off or ended it.
    Trigger {
        /// Nothing.
        #[default]
        None = "NONE" 0,
        /// The loss of a day.
        MaxLoss = "MAX_LOSS" 1,
        /// The number of positions opened in a day.
        MaxTrades = "MAX_TRADES" 2,
        /// Losing trades in a row.
        MaxLosses = "MAX_LOSSES" 3,
        /// The loss from the peak.
        MaxDrawdown = "MAX_DRAWDOWN" 4,
        /// Gross exposure.
        MaxGross = "MAX_GROSS" 5,
        /// Net exposure.
        MaxNet = "MAX_NET" 6,
        /// Pairs held at a time.
        MaxPositions = "MAX_POSITIONS" 7,
        /// A move far beyond what is usual.
        BlackSwan = "BLACK_SWAN" 8,
        /// A held pair without fresh bars.
        StaleData = "STALE_DATA" 9,
        /// A price too far from the last close.
        PriceBand = "PRICE_BAND" 10,
        /// The value at risk of the book.
        MaxVar = "MAX_VAR" 11,
        /// A loss from the peak that makes new positions smaller.
        DrawdownThrottle = "DRAWDOWN_THROTTLE" 12,
        /// Losing trades in a row that make new positions smaller.
        LossThrottle = "LOSS_THROTTLE" 13,
        /// What had throttled is over.
        Within = "WITHIN" 20,
        /// The time of a cool-down or of a day was over.
        Timer = "TIMER" 21,
        /// A user reset it.
        Reset = "RESET" 22,
    }
}

impl Trigger {
    /// The code that orders bear which this trigger sent, took back or refused.
    pub fn reason(self) -> Reason {
        match self {
            Trigger::MaxLoss => Reason::MaxLoss,
            Trigger::MaxTrades => Reason::MaxTrades,
            Trigger::MaxLosses => Reason::MaxLosses,
            Trigger::MaxDrawdown => Reason::MaxDrawdown,
            Trigger::MaxGross => Reason::MaxGross,
            Trigger::MaxNet => Reason::MaxNet,
            Trigger::MaxPositions => Reason::MaxPositions,
            Trigger::BlackSwan => Reason::BlackSwan,
            Trigger::StaleData => Reason::StaleData,
            Trigger::PriceBand => Reason::PriceBand,
            Trigger::MaxVar => Reason::MaxVar,
            Trigger::DrawdownThrottle | Trigger::LossThrottle => Reason::None,
            Trigger::None | Trigger::Within | Trigger::Timer | Trigger::Reset => Reason::None,
        }
    }
}

/// Limits of a day and of the system: rates 10^-8, -1 off; counts and ns, 0 off.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Loss of equity since the day's start.
    pub max_loss: i64,
    /// Positions opened in a day.
    pub max_trades: i64,
    /// Losing trades in a row.
    pub max_losses: i64,
    /// How long a cool-down lasts.
    pub cooldown_ns: i64,
    /// Loss of equity from its peak.
    pub max_drawdown: i64,
    /// Gross exposure over equity.
    pub max_gross: i64,
    /// Net exposure over equity.
    pub max_net: i64,
    /// Pairs held at a time.
    pub max_positions: i64,
    /// Move of a bar as a multiple of what is usual.
    pub black_swan: i64,
    /// Age of a held pair's newest bar.
    pub stale_ns: i64,
    /// Distance of an order's price from the last close.
    pub price_band: i64,
    /// Value at risk of the book over equity.
    pub max_var: i64,
    /// Its quantile over the root of its horizons per year, 10^-9.
    pub var_reach: i64,
    /// Loss of equity from its peak from which new positions are smaller.
    pub throttle_from: i64,
    /// Whether half of `max_losses` halves new positions.
    pub loss_throttle: bool,
    /// What a day's halt does.
    pub day_effect: Effect,
    /// What a kill does.
    pub system_effect: Effect,
    /// Whether states and triggers are only recorded.
    pub shadow: bool,
}

impl Limits {
    /// Whether any limit is set.
    pub fn on(&self) -> bool {
        self.max_loss >= 0
            || self.max_drawdown >= 0
            || self.price_band >= 0
            || self.throttle_from >= 0
            || self.counts_trades()
            || self.bounds_exposure()
            || self.stepwise()
    }

    /// Whether single trades have to be counted.
    pub fn counts_trades(&self) -> bool {
        self.max_trades > 0 || self.max_losses > 0
    }

    /// Whether what single orders would lead to has to be known.
    pub fn bounds_exposure(&self) -> bool {
        let counts = self.max_positions > 0 || self.max_trades > 0;
        counts || self.max_gross >= 0 || self.max_net >= 0 || self.max_var >= 0
    }

    /// Whether more than a row's equity tells whether a limit is reached.
    pub fn stepwise(&self) -> bool {
        self.black_swan >= 0 || self.stale_ns > 0
    }

    /// Whether what is set reads the equity of a row and nothing else, and lets orders be as they are until it acts.
    pub fn of_equity_alone(&self) -> bool {
        let sizes = self.price_band >= 0 || self.throttle_from >= 0 || self.loss_throttle;
        !(sizes || self.counts_trades() || self.bounds_exposure() || self.stepwise())
    }
}
