//! Statistics of the written values.

use serde::{Deserialize, Serialize};

/// Sums and extremes of the finite values of a set of rows.
///
/// Values are summed per cell, in an order that depends on the cell alone, and then over the cells
/// in their order, so that the result does not depend on how the cells were divided into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ValueStats {
    /// Number of rows.
    pub rows: u64,
    /// Number of rows whose value is NaN or infinite; the other fields ignore them.
    pub non_finite: u64,
    /// Smallest value; 0 if there are none.
    pub min: f64,
    /// Largest value; 0 if there are none.
    pub max: f64,
    /// Sum of the values.
    pub sum: f64,
    /// Sum of the squared values.
    pub sum_of_squares: f64,
}

impl Default for ValueStats {
    fn default() -> Self {
        ValueStats {
            rows: 0,
            non_finite: 0,
            min: 0.0,
            max: 0.0,
            sum: 0.0,
            sum_of_squares: 0.0,
        }
    }
}

impl ValueStats {
    /// Computes the statistics of written values.
    pub fn of_values(values: &[f64]) -> Self {
        Self::of_cell(values)
    }

    /// Computes the statistics of one cell's values.
    pub(super) fn of_cell<T: Copy + Into<f64>>(values: &[T]) -> Self {
        const LANES: usize = 8;
        let (mut sums, mut squares) = ([0.0; LANES], [0.0; LANES]);
        let (mut least, mut greatest) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        let chunks = values.chunks_exact(LANES);
        let mut add = |lane: usize, value: f64| {
            sums[lane] += value;
            squares[lane] += value * value;
            least[lane] = if value < least[lane] {
                value
            } else {
                least[lane]
            };
            greatest[lane] = if value > greatest[lane] {
                value
            } else {
                greatest[lane]
            };
        };
        for chunk in chunks.clone() {
            for (lane, &value) in chunk.iter().enumerate() {
                add(lane, value.into());
            }
        }
        for (lane, &value) in chunks.remainder().iter().enumerate() {
            add(lane, value.into());
        }
        let (sum, sum_of_squares) = (sums.iter().sum::<f64>(), squares.iter().sum::<f64>());
        // Also taken if finite values are so large that their sums are infinite.
        if !sum.is_finite() || !sum_of_squares.is_finite() {
            return Self::of_cell_with_non_finite(values);
        }
        let stats = ValueStats {
            rows: values.len() as u64,
            non_finite: 0,
            min: least.iter().copied().fold(f64::INFINITY, f64::min),
            max: greatest.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            sum,
            sum_of_squares,
        };
        if values.is_empty() {
            ValueStats::default()
        } else {
            stats
        }
    }

    fn of_cell_with_non_finite<T: Copy + Into<f64>>(values: &[T]) -> Self {
        let mut stats = ValueStats::default();
        for &value in values {
            let value: f64 = value.into();
            stats.add(&if value.is_finite() {
                ValueStats {
                    rows: 1,
                    non_finite: 0,
                    min: value,
                    max: value,
                    sum: value,
                    sum_of_squares: value * value,
                }
            } else {
                ValueStats {
                    rows: 1,
                    non_finite: 1,
                    ..ValueStats::default()
                }
            });
        }
        stats
    }

    /// Adds the statistics of later rows.
    pub fn add(&mut self, later: &ValueStats) {
        let finite = |stats: &ValueStats| stats.rows - stats.non_finite;
        match (finite(self), finite(later)) {
            (_, 0) => {}
            (0, _) => (self.min, self.max) = (later.min, later.max),
            _ => {
                self.min = self.min.min(later.min);
                self.max = self.max.max(later.max);
            }
        }
        self.rows += later.rows;
        self.non_finite += later.non_finite;
        // Keep sums finite: JSON has no infinity.
        self.sum = (self.sum + later.sum).clamp(f64::MIN, f64::MAX);
        self.sum_of_squares = (self.sum_of_squares + later.sum_of_squares).min(f64::MAX);
    }

    /// Mean of the finite values; 0 if there are none.
    pub fn mean(&self) -> f64 {
        let finite = self.rows - self.non_finite;
        if finite == 0 {
            0.0
        } else {
            self.sum / finite as f64
        }
    }

    /// Sample standard deviation of the finite values; 0 if there are fewer than two.
    pub fn std(&self) -> f64 {
        let finite = (self.rows - self.non_finite) as f64;
        if finite < 2.0 {
            return 0.0;
        }
        let mean = self.mean();
        ((self.sum_of_squares - finite * mean * mean) / (finite - 1.0))
            .max(0.0)
            .sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation() {
        let stats = ValueStats::of_cell(&[1u16, 2, 3, 4]);
        assert_eq!((stats.min, stats.max, stats.mean()), (1.0, 4.0, 2.5));
        assert!((stats.std() - 1.2909944487358056).abs() < 1e-12);
        assert_eq!(ValueStats::default().std(), 0.0);
    }

    #[test]
    fn non_finite_values_are_counted_and_left_out() {
        let stats = ValueStats::of_cell(&[1.0f32, f32::NAN, 3.0, f32::INFINITY]);
        assert_eq!((stats.rows, stats.non_finite, stats.sum), (4, 2, 4.0));
        assert_eq!((stats.min, stats.max), (1.0, 3.0));
    }

    #[test]
    fn sums_stay_finite() {
        let stats = ValueStats::of_cell(&[1e300, 1.7e308, 1.7e308, -3.0]);
        assert_eq!((stats.non_finite, stats.min, stats.max), (0, -3.0, 1.7e308));
        for number in [stats.sum, stats.sum_of_squares, stats.mean(), stats.std()] {
            assert!(number.is_finite());
        }
    }

    #[test]
    fn empty_cells_change_nothing() {
        let mut stats = ValueStats::of_cell(&[-5i32]);
        stats.add(&ValueStats::of_cell::<i32>(&[]));
        let mut other = ValueStats::default();
        other.add(&ValueStats::of_cell(&[-5i32]));
        assert_eq!(stats, other);
    }
}
