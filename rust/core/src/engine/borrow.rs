//! What a short of coins costs: an opening fee, then a rollover per completed period on the notional at entry.

use super::contract::{FlowKind, RATE_UNIT};
use super::costs::fee_of;
use super::number::UNIT;
use super::simulator::Simulator;

/// Something that is charged for borrowed coins.
struct Charge {
    kind: FlowKind,
    time: i64,
    qty: i64,
    price: i64,
    owed: i128,
    rate: i64,
}

impl Simulator {
    /// Charges the opening fee on what a fill at `price` borrowed; the clock of the rollover starts with the loan.
    pub(super) fn borrowed(&mut self, p: usize, before: i64, price: i64) {
        let terms = self.spec.borrow;
        let after = self.ledger.position[p];
        if after >= 0 {
            self.loan_due[p] = 0;
            return;
        }
        let grown = -after - (-before).max(0);
        if before >= 0 {
            self.loan_due[p] = self.time + terms.every_ns;
        }
        if grown > 0 {
            let (kind, owed) = (FlowKind::BorrowOpening, self.ledger.notional(p, grown, price));
            self.charge(p, &Charge { kind, time: self.time, qty: -grown, price, owed, rate: terms.opening });
        }
    }

    /// Charges the periods that were completed by the open of a bar, on positions held before it.
    pub(super) fn roll_over(&mut self, open_time: i64) {
        let terms = self.spec.borrow;
        for p in 0..self.loan_due.len() {
            let position = self.ledger.position[p];
            while position < 0 && self.loan_due[p] > 0 && self.loan_due[p] <= open_time {
                let time = self.loan_due[p];
                self.loan_due[p] += terms.every_ns;
                let (kind, owed) = (FlowKind::BorrowRollover, self.ledger.basis(p).abs());
                self.charge(p, &Charge { kind, time, qty: position, price: 0, owed, rate: terms.rollover });
            }
        }
    }

    fn charge(&mut self, p: usize, charge: &Charge) {
        let Charge { kind, time, qty, price, owed, rate } = *charge;
        let fee = fee_of(owed, rate);
        if fee != 0 {
            self.ledger.pay(fee);
            self.flow(kind, p, time, qty, price, rate * (RATE_UNIT / UNIT), -fee);
        }
    }
}
