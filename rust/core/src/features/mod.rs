//! Feature kernels: each is a struct with an `update`, and a batch is a loop over it.
//!
//! A kernel does the same arithmetic in the same order as the Python step of the same name. Its `segment` is the batch
//! written as a straight loop over slices; it gives the bits of repeated `update`s from a fresh state.

mod average;
mod change;
mod channel;
mod cross;
mod deviation;
mod hold;
mod logarithm;
mod units;
mod wilder;

use crate::schedule::Schedule;

pub use hold::{OutOfRange, fix, hold, hold_levels};

/// A feature's state and its arithmetic.
pub trait Kernel: Send + Sync {
    /// Number of inputs of an update.
    fn inputs(&self) -> usize {
        1
    }

    /// Number of outputs of an update.
    fn outputs(&self) -> usize {
        1
    }

    /// Forgets everything.
    fn reset(&mut self);

    /// Takes one bar's inputs, none of them NaN, and writes the outputs; NaN while warming up.
    fn update(&mut self, x: &[f64], out: &mut [f64]);

    /// Runs over a whole run of bars from a fresh state.
    fn segment(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        self.step_through(x, out);
    }

    /// Runs over whole prices or quantities, units of 10^-8, from a fresh state: the bits of `segment` over their floats.
    fn segment_units(&mut self, x: &[&[i64]], out: &mut [&mut [f64]]) {
        let floats: Vec<Vec<f64>> = x.iter().map(|units| units::floats(units)).collect();
        let columns: Vec<&[f64]> = floats.iter().map(Vec::as_slice).collect();
        self.segment(&columns, out);
    }

    /// Writes the one output of whole prices or quantities at some rows alone: the bits of `segment_units` there.
    fn sample_units(&mut self, x: &[&[i64]], rows: Schedule, out: &mut [f64]) {
        sample_whole(self, x, rows, out);
    }

    /// Runs over bars by one update each.
    fn step_through(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        let (mut row, mut result) = ([0.0; MAX_WIDTH], [0.0; MAX_WIDTH]);
        let (inputs, outputs) = (self.inputs(), self.outputs());
        for i in 0..x[0].len() {
            for k in 0..inputs {
                row[k] = x[k][i];
            }
            self.update(&row[..inputs], &mut result[..outputs]);
            for k in 0..outputs {
                out[k][i] = result[k];
            }
        }
    }
}

/// Most inputs or outputs any kernel has.
pub const MAX_WIDTH: usize = 3;

/// Makes a kernel by name, or says what is wrong with the request.
pub fn make(name: &str, parameters: &[f64]) -> Result<Box<dyn Kernel>, String> {
    let number =
        |k: usize| parameters.get(k).copied().ok_or_else(|| format!("kernel {name}: parameter {k} is missing"));
    let window = |k: usize| -> Result<usize, String> {
        let value = number(k)?;
        if (1.0..=1e9).contains(&value) && value.fract() == 0.0 {
            Ok(value as usize)
        } else {
            Err(format!("kernel {name}: {value} is not a number of bars"))
        }
    };
    Ok(match name {
        "sma" => Box::new(average::Sma::new(window(0)?)),
        "filter" => Box::new(average::Filter::new(window(0)?, number(1)?)),
        "sma_cross" => Box::new(cross::SmaCross::new(window(0)?, window(1)?)),
        "cross" => Box::new(cross::Cross::new()),
        "rsi" => Box::new(wilder::Rsi::new(window(0)?)),
        "atr" => Box::new(wilder::Atr::new(window(0)?)),
        "std" => Box::new(deviation::Std::new(window(0)?, number(1)?)),
        "zscore" => Box::new(deviation::ZScore::new(window(0)?)),
        "volume_z" => Box::new(deviation::VolumeZ::new(window(0)?)),
        "bollinger" => Box::new(deviation::Bollinger::new(window(0)?, number(1)?)),
        "log_return_std" => Box::new(deviation::LogReturnStd::new(window(0)?, number(1)?)),
        "change" => Box::new(change::Change::new(window(0)?, number(1)? != 0.0, number(2)? != 0.0)),
        "donchian" => Box::new(channel::Donchian::new(window(0)?)),
        _ => return Err(format!("there is no kernel named {name:?}")),
    })
}

/// Runs a kernel over columns of equal length. It starts afresh at each index in `resets` and after each row with NaN
/// in an input, whose outputs are NaN; `clean` says that there is none, which saves looking.
pub fn run(kernel: &mut dyn Kernel, x: &[&[f64]], resets: &[i64], clean: bool, out: &mut [&mut [f64]]) {
    let rows = x[0].len();
    let mut cuts = resets.iter().map(|&r| r as usize).filter(|&r| r > 0 && r < rows).chain([rows]);
    let mut a = 0;
    while a < rows {
        let b = cuts.next().unwrap_or(rows);
        if b <= a {
            continue;
        }
        if clean {
            run_segment(kernel, x, a, b, out);
        } else {
            run_around_nan(kernel, x, a, b, out);
        }
        a = b;
    }
}

/// Runs a kernel over columns of equal length in units of 10^-8, without a reset.
pub fn run_units(kernel: &mut dyn Kernel, x: &[&[i64]], out: &mut [&mut [f64]]) {
    kernel.reset();
    kernel.segment_units(x, out);
}

/// Writes a kernel's one output at some rows of columns in units of 10^-8, without a reset: what `run_units` has there.
pub fn sample_units(kernel: &mut dyn Kernel, x: &[&[i64]], rows: Schedule, out: &mut [f64]) {
    kernel.reset();
    kernel.sample_units(x, rows, out);
}

/// Picks rows out of the whole output.
fn sample_whole<K: Kernel + ?Sized>(kernel: &mut K, x: &[&[i64]], rows: Schedule, out: &mut [f64]) {
    let mut whole = vec![0.0; x[0].len()];
    kernel.segment_units(x, &mut [&mut whole]);
    for (slot, row) in out.iter_mut().zip(rows.rows(whole.len())) {
        *slot = whole[row];
    }
}

fn run_segment(kernel: &mut dyn Kernel, x: &[&[f64]], a: usize, b: usize, out: &mut [&mut [f64]]) {
    let mut inputs = [&[][..]; MAX_WIDTH];
    for (slot, column) in inputs.iter_mut().zip(x) {
        *slot = &column[a..b];
    }
    let mut outputs: Vec<&mut [f64]> = out.iter_mut().map(|column| &mut column[a..b]).collect();
    kernel.reset();
    kernel.segment(&inputs[..x.len()], &mut outputs);
}

fn run_around_nan(kernel: &mut dyn Kernel, x: &[&[f64]], mut a: usize, b: usize, out: &mut [&mut [f64]]) {
    while a < b {
        let first = x.iter().filter_map(|column| column[a..b].iter().position(|v| v.is_nan())).min();
        let end = first.map_or(b, |at| a + at);
        if end > a {
            run_segment(kernel, x, a, end, out);
        }
        a = end;
        while a < b && x.iter().any(|column| column[a].is_nan()) {
            for column in out.iter_mut() {
                column[a] = f64::NAN;
            }
            a += 1;
        }
    }
}

/// The last values of a window, oldest first from `oldest`.
pub(crate) struct Ring {
    values: Vec<f64>,
    oldest: usize,
}

impl Ring {
    pub(crate) fn new() -> Self {
        Self { values: Vec::new(), oldest: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.oldest = 0;
    }

    /// Adds a value; gives the one that leaves once `window` are held.
    pub(crate) fn push(&mut self, x: f64, window: usize) -> Option<f64> {
        if self.values.len() < window {
            self.values.push(x);
            return None;
        }
        let old = std::mem::replace(&mut self.values[self.oldest], x);
        self.oldest += 1;
        if self.oldest == window {
            self.oldest = 0;
        }
        Some(old)
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The two runs that hold the values in the order they came.
    pub(crate) fn in_order(&self) -> (&[f64], &[f64]) {
        let (newer, older) = self.values.split_at(self.oldest);
        (older, newer)
    }
}

#[cfg(test)]
mod tests;
