//! The words of orders as integer codes: the same tables as `core/orders.py` and `core/spec.py`; a test compares them.

/// Declares an enum whose members carry the integer codes of the Python enum of the same name.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $word:literal $code:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Default)]
        #[repr(i8)]
        pub enum $name {
            $($(#[$member_doc])* $member = $code,)+
        }

        impl $name {
            /// Name and code of every member, in order.
            pub const TABLE: &'static [(&'static str, i64)] = &[$(($word, $code)),+];

            /// The member of a code.
            pub fn from_code(code: i64) -> Option<Self> {
                match code {
                    $($code => Some(Self::$member),)+
                    _ => None,
                }
            }

            /// The code of a member.
            pub fn code(self) -> i64 {
                self as i64
            }
        }
    };
}

pub(crate) use codes;

codes! {
    /// What makes an order fill.
    OrderType {
        /// At the next open.
        #[default]
        Market = "MARKET" 0,
        /// At its price or better.
        Limit = "LIMIT" 1,
        /// As a market order once its level is reached.
        Stop = "STOP" 2,
        /// As a limit order once its level is reached.
        StopLimit = "STOP_LIMIT" 3,
        /// A stop whose level follows the best price.
        Trailing = "TRAILING" 4,
    }
}

codes! {
    /// How long an order lives.
    Tif {
        /// Until it is filled or taken back.
        #[default]
        Gtc = "GTC" 0,
        /// What does not fill at once is cancelled.
        Ioc = "IOC" 1,
        /// All at once or nothing.
        Fok = "FOK" 2,
        /// Until a time.
        Gtd = "GTD" 3,
    }
}

codes! {
    /// Where an order is in its life.
    State {
        /// Sent, not yet at the exchange, or not yet met by a tradable open.
        #[default]
        Pending = "PENDING" 0,
        /// Resting at the exchange.
        Active = "ACTIVE" 1,
        /// A stop whose level was reached.
        Triggered = "TRIGGERED" 2,
        /// Done.
        Filled = "FILLED" 3,
        /// Taken back; what was filled stays filled.
        Cancelled = "CANCELLED" 4,
        /// Refused.
        Rejected = "REJECTED" 5,
        /// Its time was over.
        Expired = "EXPIRED" 6,
    }
}

impl State {
    /// Every state, in the order of the codes.
    pub const ALL: [State; 7] = [
        State::Pending,
        State::Active,
        State::Triggered,
        State::Filled,
        State::Cancelled,
        State::Rejected,
        State::Expired,
    ];

    /// Whether an order in this state can still fill.
    #[inline]
    pub fn alive(self) -> bool {
        matches!(self, State::Pending | State::Active | State::Triggered)
    }

    /// Whether the transition table allows `next` after this state.
    #[inline]
    pub fn may_become(self, next: State) -> bool {
        match self {
            State::Pending => next != State::Pending,
            State::Active => !matches!(next, State::Pending | State::Active | State::Rejected),
            State::Triggered => matches!(next, State::Filled | State::Cancelled | State::Expired),
            _ => false,
        }
    }
}

codes! {
    /// Why an order was sent, or why it ended unfilled.
    Reason {
        /// Not stated.
        #[default]
        None = "NONE" 0,
        /// The forecast opened or enlarged a position.
        EntrySignal = "ENTRY_SIGNAL" 1,
        /// The forecast closed a position.
        ExitSignal = "EXIT_SIGNAL" 2,
        /// The target moved.
        Rebalance = "REBALANCE" 3,
        /// A script asked for it.
        Scripted = "SCRIPTED" 4,
        /// Protection against loss.
        StopLoss = "STOP_LOSS" 5,
        /// A target price.
        TakeProfit = "TAKE_PROFIT" 6,
        /// Protection that follows the best price.
        TrailingStop = "TRAILING_STOP" 7,
        /// Held for too many bars.
        TimeStop = "TIME_STOP" 8,
        /// A user closed everything.
        Flatten = "FLATTEN" 9,
        /// A user gave an order.
        Manual = "MANUAL" 10,
        /// The venue closed what its margin no longer carried.
        Liquidation = "LIQUIDATION" 19,
        /// Taken back because the target changed.
        TargetChanged = "TARGET_CHANGED" 20,
        /// Its sibling filled.
        Oco = "OCO" 21,
        /// The position it protected is gone.
        PositionClosed = "POSITION_CLOSED" 22,
        /// It would have enlarged or turned the position.
        ReduceOnly = "REDUCE_ONLY" 23,
        /// Free balance did not cover it.
        InsufficientFunds = "INSUFFICIENT_FUNDS" 24,
        /// It would have opened a short.
        ShortForbidden = "SHORT_FORBIDDEN" 25,
        /// Below the smallest quantity.
        BelowMinQty = "BELOW_MIN_QTY" 26,
        /// Below the smallest notional.
        BelowMinCost = "BELOW_MIN_COST" 27,
        /// Priced too far from the last close.
        PriceBand = "PRICE_BAND" 28,
        /// A post-only order would have taken liquidity.
        PostOnlyCross = "POST_ONLY_CROSS" 29,
        /// The rest of an immediate-or-cancel order.
        IocRemainder = "IOC_REMAINDER" 30,
        /// A fill-or-kill order could not fill whole.
        FokUnfilled = "FOK_UNFILLED" 31,
        /// Its date came.
        GtdExpired = "GTD_EXPIRED" 32,
        /// The pair had no bars for too long.
        StaleGap = "STALE_GAP" 33,
        /// It rested longer than the executor's patience.
        Timeout = "TIMEOUT" 34,
        /// A user paused the session.
        Paused = "PAUSED" 35,
        /// The day lost too much.
        MaxLoss = "MAX_LOSS" 40,
        /// The day had its trades.
        MaxTrades = "MAX_TRADES" 41,
        /// Too many trades in a row lost.
        MaxLosses = "MAX_LOSSES" 42,
        /// Equity fell too far from its peak.
        MaxDrawdown = "MAX_DRAWDOWN" 43,
        /// Gross exposure would be too large.
        MaxGross = "MAX_GROSS" 44,
        /// Net exposure would be too large.
        MaxNet = "MAX_NET" 45,
        /// Too many pairs would be held.
        MaxPositions = "MAX_POSITIONS" 46,
        /// A bar moved far beyond what is usual.
        BlackSwan = "BLACK_SWAN" 47,
        /// A held pair had no bars for too long.
        StaleData = "STALE_DATA" 48,
        /// The value at risk of the book would be too large.
        MaxVar = "MAX_VAR" 49,
    }
}

codes! {
    /// What a user may tell a running session.
    Control {
        /// Open and enlarge no position.
        #[default]
        Pause = "PAUSE" 0,
        /// Trade again.
        Resume = "RESUME" 1,
        /// Close every position.
        Flatten = "FLATTEN" 2,
        /// End what a limit of the account began.
        Reset = "RESET" 3,
        /// Work an order.
        Order = "ORDER" 4,
    }
}

codes! {
    /// The way in which a parent order is cut into children.
    Algo {
        /// Equal parts over time.
        #[default]
        Twap = "TWAP" 1,
        /// Parts in proportion to a forecast of the volume.
        Vwap = "VWAP" 2,
        /// A share of the volume that was traded.
        Pov = "POV" 3,
        /// One limit order after another, of which each shows a part.
        Iceberg = "ICEBERG" 4,
        /// The whole as one limit order that follows the price.
        Chase = "CHASE" 5,
    }
}

codes! {
    /// What becomes of a parent's rest at the end of its plan.
    Remainder {
        /// It is left.
        #[default]
        Cancel = "CANCEL" 0,
        /// It is sent at once.
        Cross = "CROSS" 1,
    }
}

codes! {
    /// Which side of the book a fill took.
    Liquidity {
        /// It rested.
        #[default]
        Maker = "MAKER" 0,
        /// It crossed.
        Taker = "TAKER" 1,
    }
}

codes! {
    /// What one line of the order log says.
    LogKind {
        /// An order was sent.
        #[default]
        Submit = "SUBMIT" 0,
        /// Its open quantity changed.
        Amend = "AMEND" 1,
        /// It was taken back.
        Cancel = "CANCEL" 2,
    }
}

codes! {
    /// How the prices inside a bar are assumed to have run.
    FillPath {
        /// The worst admissible way.
        #[default]
        Pessimistic = "PESSIMISTIC" 0,
        /// Open, high, low, close.
        Ohlc = "OHLC" 1,
        /// Open, low, high, close.
        Olhc = "OLHC" 2,
        /// The extreme nearer to the open first.
        Adaptive = "ADAPTIVE" 3,
        /// The finer bars inside.
        Detail = "DETAIL" 4,
    }
}

codes! {
    /// How a market order's price moves against it.
    Slippage {
        /// Not at all.
        #[default]
        None = "NONE" 0,
        /// By a share of the price.
        Bps = "BPS" 1,
        /// By a fixed amount.
        HalfSpread = "HALF_SPREAD" 2,
        /// With the square root of order over volume.
        SqrtImpact = "SQRT_IMPACT" 3,
        /// With the square of order over the bar's volume.
        VolumeShare = "VOLUME_SHARE" 4,
    }
}

/// Direction of an order: name and sign of the position change.
pub const SIDE_TABLE: &[(&str, i64)] = &[("BUY", 1), ("SELL", -1)];
