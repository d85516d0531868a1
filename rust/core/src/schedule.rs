//! Rows at regular distances.

/// The rows `first`, `first + every`, `first + 2 every` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The first of them.
    pub first: usize,
    /// Distance between two, at least 1.
    pub every: usize,
}

impl Schedule {
    /// All rows.
    pub const ALL: Self = Self { first: 0, every: 1 };

    /// Those of them below `end`.
    pub fn rows(self, end: usize) -> impl Iterator<Item = usize> {
        (self.first..end).step_by(self.every)
    }

    /// How many of them lie below `end`.
    pub fn count(self, end: usize) -> usize {
        end.saturating_sub(self.first).div_ceil(self.every)
    }

    /// Which of them a row is, counted from 0.
    ///
    /// # Panics
    ///
    /// Where the row is none of them: a value that was never computed is asked for.
    #[inline]
    pub fn place(self, row: usize) -> usize {
        if self.every == 1 {
            return row - self.first;
        }
        assert!(
            row >= self.first && (row - self.first).is_multiple_of(self.every),
            "row {row} is read of a column that holds the rows {}, {}, ...",
            self.first,
            self.first + self.every
        );
        (row - self.first) / self.every
    }
}
