//! Price channels.

use super::Kernel;
use std::collections::VecDeque;

/// Falling highs and rising lows of the window, so that the extremes are always in front.
pub(crate) struct Donchian {
    window: usize,
    row: usize,
    highs: VecDeque<(usize, f64)>,
    lows: VecDeque<(usize, f64)>,
}

impl Donchian {
    pub(crate) fn new(window: usize) -> Self {
        Self { window, row: 0, highs: VecDeque::new(), lows: VecDeque::new() }
    }
}

impl Kernel for Donchian {
    fn inputs(&self) -> usize {
        2
    }

    fn outputs(&self) -> usize {
        2
    }

    fn reset(&mut self) {
        self.row = 0;
        self.highs.clear();
        self.lows.clear();
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        let row = self.row;
        self.row += 1;
        out.fill(f64::NAN);
        if row >= self.window {
            let oldest = row - self.window;
            while self.highs.front().is_some_and(|&(at, _)| at < oldest) {
                self.highs.pop_front();
            }
            while self.lows.front().is_some_and(|&(at, _)| at < oldest) {
                self.lows.pop_front();
            }
            if let (Some(high), Some(low)) = (self.highs.front(), self.lows.front()) {
                (out[0], out[1]) = (high.1, low.1);
            }
        }
        let (high, low) = (x[0], x[1]);
        while self.highs.back().is_some_and(|&(_, value)| value <= high) {
            self.highs.pop_back();
        }
        while self.lows.back().is_some_and(|&(_, value)| value >= low) {
            self.lows.pop_back();
        }
        self.highs.push_back((row, high));
        self.lows.push_back((row, low));
    }
}
