//! Every order of a run by number: working ones in full, ended ones as little as a table of orders needs.
//!
//! A run sends tens of thousands of orders of which a handful works at a time. Those few stay in the processor's cache,
//! and an ended order leaves a third of a working one's bytes behind.

use std::ops::{Index, IndexMut};

use super::codes::{OrderType, Reason, State, Tif};
use super::order::Order;

/// All orders, numbered from 0 in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Blotter {
    entries: Vec<Entry>,
    working: Vec<Order>,
    vacant: Vec<u32>,
    terms: Vec<Terms>,
}

/// What is kept of an ended order; of a working one nothing but where it is.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    qty: i64,
    filled: i64,
    time: i64,
    /// Limit or stop price of an order that needs no [`Terms`].
    price: i64,
    pair: u32,
    tag: u32,
    /// Index into `terms`, or into `working` while it works.
    at: u32,
    side: i8,
    kind: OrderType,
    tif: Tif,
    state: State,
    reason: Reason,
    end_reason: Reason,
    flags: u8,
}

const WORKING: u8 = 1;
const TERMS: u8 = 2;
const STOPS: u8 = 4;
const POST_ONLY: u8 = 8;
const REDUCE_ONLY: u8 = 16;

/// What few orders have, or many have alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms {
    limit: i64,
    stop: i64,
    trail: i64,
    trail_rate: i64,
    expire_time: i64,
}

impl Terms {
    #[inline]
    fn of(order: &Order) -> Self {
        let Order { limit, stop, trail, trail_rate, expire_time, .. } = *order;
        Terms { limit, stop, trail, trail_rate, expire_time }
    }

    /// Whether one price says it all.
    #[inline]
    fn plain(&self) -> bool {
        (self.limit == 0 || self.stop == 0) && self.trail == 0 && self.trail_rate == 0 && self.expire_time == 0
    }
}

impl Blotter {
    /// Makes room for further orders.
    pub fn reserve(&mut self, orders: usize) {
        self.entries.reserve(orders);
    }

    /// How many orders there were.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none was sent.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Numbers an order that begins to work.
    #[inline]
    pub fn open(&mut self, order: Order) -> usize {
        let number = self.entries.len();
        let at = match self.vacant.pop() {
            Some(at) => {
                self.working[at as usize] = order;
                at
            }
            None => {
                self.working.push(order);
                (self.working.len() - 1) as u32
            }
        };
        self.entries.push(Entry { at, flags: WORKING, ..Entry::default() });
        number
    }

    /// Numbers an order that has ended already.
    #[inline]
    pub fn file(&mut self, order: &Order) -> usize {
        self.entries.push(Entry::of(order, &mut self.terms));
        self.entries.len() - 1
    }

    /// Keeps of an ended order what the table needs: it can be read as [`Self::values`] alone from now on.
    #[inline]
    pub fn retire(&mut self, number: usize) {
        let entry = &mut self.entries[number];
        if entry.flags & WORKING != 0 {
            let at = entry.at;
            *entry = Entry::of(&self.working[at as usize], &mut self.terms);
            self.vacant.push(at);
        }
    }

    /// An order, unless it was retired.
    #[inline]
    pub fn get(&self, number: usize) -> Option<&Order> {
        let entry = &self.entries[number];
        (entry.flags & WORKING != 0).then(|| &self.working[entry.at as usize])
    }

    /// Quantity that an order filled, retired or not.
    pub fn filled(&self, number: usize) -> i64 {
        self.get(number).map_or(self.entries[number].filled, |order| order.filled)
    }

    /// Why an order ended unfilled, retired or not.
    pub fn end_reason(&self, number: usize) -> Reason {
        self.get(number).map_or(self.entries[number].end_reason, |order| order.end_reason)
    }

    /// An order as a row of [`super::recorder::ORDER_FIELDS`].
    pub fn values(&self, number: usize) -> [i64; 18] {
        let mut entry = self.entries[number];
        let terms = if entry.flags & WORKING != 0 {
            let order = &self.working[entry.at as usize];
            entry = Entry::of(order, &mut Vec::new());
            Terms::of(order)
        } else if entry.flags & TERMS != 0 {
            self.terms[entry.at as usize]
        } else {
            let (limit, stop) = if entry.flags & STOPS != 0 { (0, entry.price) } else { (entry.price, 0) };
            Terms { limit, stop, trail: 0, trail_rate: 0, expire_time: 0 }
        };
        [
            i64::from(entry.pair),
            i64::from(entry.side),
            entry.kind.code(),
            entry.tif.code(),
            entry.qty,
            entry.filled,
            terms.limit,
            terms.stop,
            terms.trail,
            terms.trail_rate,
            terms.expire_time,
            i64::from(entry.flags & POST_ONLY != 0),
            i64::from(entry.flags & REDUCE_ONLY != 0),
            entry.state.code(),
            entry.reason.code(),
            entry.end_reason.code(),
            entry.time,
            i64::from(entry.tag),
        ]
    }
}

impl Entry {
    #[inline]
    fn of(order: &Order, known: &mut Vec<Terms>) -> Self {
        let terms = Terms::of(order);
        let mut flags = (u8::from(order.post_only) * POST_ONLY) | (u8::from(order.reduce_only) * REDUCE_ONLY);
        let mut at = 0;
        if !terms.plain() {
            flags |= TERMS;
            if known.last() != Some(&terms) {
                known.push(terms);
            }
            at = (known.len() - 1) as u32;
        } else if terms.stop != 0 {
            flags |= STOPS;
        }
        let Order { qty, filled, time, pair, tag, side, kind, tif, state, reason, end_reason, .. } = *order;
        let price = terms.limit | terms.stop;
        Entry { qty, filled, time, price, pair, tag, at, side, kind, tif, state, reason, end_reason, flags }
    }
}

impl Index<usize> for Blotter {
    type Output = Order;

    #[inline]
    fn index(&self, number: usize) -> &Order {
        let entry = &self.entries[number];
        assert!(entry.flags & WORKING != 0, "order {number} was retired");
        &self.working[entry.at as usize]
    }
}

impl IndexMut<usize> for Blotter {
    #[inline]
    fn index_mut(&mut self, number: usize) -> &mut Order {
        let entry = &self.entries[number];
        assert!(entry.flags & WORKING != 0, "order {number} was retired");
        &mut self.working[entry.at as usize]
    }
}
