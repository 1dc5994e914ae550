//! Detects cells whose values are whole multiples of one unit, as counts are after division by a
//! factor per cell.

/// Tolerances for values stored with a given precision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Precision {
    /// Relative error of a value.
    pub relative: f64,
    /// Largest multiple that can be distinguished from chance.
    pub most: f64,
    /// Relative error of a sum.
    pub sum: f64,
}

impl Precision {
    /// For float16.
    pub const HALF: Precision = Precision {
        relative: 4e-3,
        most: 24.0,
        sum: 1e-2,
    };
    /// For float32, and for numbers with six digits in a text.
    pub const SINGLE: Precision = Precision {
        relative: 1e-4,
        most: 300.0,
        sum: 1e-3,
    };

    /// Whether a ratio is a whole number, and the tolerance that was applied, which is half the
    /// probability that a random number passes.
    fn whole(&self, ratio: f64) -> (bool, f64) {
        let off = 0.005 + self.relative * ratio;
        ((ratio - ratio.round()).abs() <= off, off)
    }
}

/// Maximum count that the smallest value of a cell is assumed to stand for.
const LEAST_COUNTS: u32 = 40;

/// Units found in the cells of a sample.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// Unit of each cell that has one.
    pub units: Vec<f64>,
    /// Evidence in bits: -log2 of the probability that this is chance.
    bits: f64,
    /// Number of informative cells with and without a unit.
    with: usize,
    without: usize,
}

/// Evidence in bits that rules out a coincidence over all cells, and the evidence that a single
/// cell must provide if its smallest value stands for more than one count.
const ENOUGH: f64 = 24.0;
const ENOUGH_OF_ONE: f64 = 12.0;

impl Units {
    /// Inspects cells, each given as a sorted, deduplicated list of positive values.
    pub fn of<'a>(cells: impl Iterator<Item = &'a [f64]>, precision: Precision) -> Self {
        let mut units = Units::default();
        for cell in cells {
            if cell.len() < 2 {
                // A single value is a multiple of itself.
                units.units.extend(cell.first());
                continue;
            }
            match unit(cell, precision) {
                Some((unit, bits)) => {
                    units.units.push(unit);
                    units.bits += bits;
                    units.with += 1;
                }
                None => units.without += 1,
            }
        }
        units
    }

    /// Whether cells have units.
    pub fn are_there(&self) -> bool {
        self.bits >= ENOUGH && self.without * 9 <= self.with
    }

    /// Returns the unit that all cells share, if they do.
    pub fn shared(&self) -> Option<f64> {
        let first = *self.units.first()?;
        let same = |unit: &&f64| (**unit - first).abs() <= 1e-3 * first;
        (self.units.iter().filter(same).count() * 20 >= self.units.len() * 19).then_some(first)
    }

    /// Returns the sum to which counts were scaled. The total count of a cell, over all genes, is a
    /// whole number of units.
    pub fn target_sum(&self) -> Option<f64> {
        const SUMS: [f64; 8] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7];
        SUMS.into_iter().find(|sum| {
            let totals = self.units.iter().map(|unit| sum / unit);
            // Larger totals are not accurate to a single count.
            let totals: Vec<f64> = totals.filter(|total| (1.5..1e5).contains(total)).collect();
            let whole = |total: &&f64| (**total - total.round()).abs() < 0.05;
            totals.len() >= 12 && totals.iter().filter(whole).count() * 20 >= totals.len() * 19
        })
    }
}

/// Returns the unit of a cell and the evidence for it in bits.
fn unit(cell: &[f64], precision: Precision) -> Option<(f64, f64)> {
    (1..=LEAST_COUNTS).find_map(|counts| {
        let unit = cell[0] / f64::from(counts);
        let (mut tried, mut missed, mut bits) = (0usize, 0usize, 0.0);
        let (mut products, mut squares) = (0.0, 0.0);
        for &value in &cell[1..] {
            let ratio = value / unit;
            if ratio > precision.most {
                break;
            }
            tried += 1;
            let (whole, off) = precision.whole(ratio);
            // Values this close to the previous one would be the same count.
            if whole && ratio.round() > f64::from(counts) {
                let count = ratio.round();
                bits -= (2.0 * off).min(1.0).log2();
                products += value * count;
                squares += count * count;
            } else {
                missed += 1;
                if missed * 20 > cell.len() {
                    return None;
                }
            }
        }
        let counts = f64::from(counts);
        let bits = bits - counts.log2();
        let likely = tried > 0 && missed * 20 <= tried;
        if !likely || (counts > 1.0 && bits < ENOUGH_OF_ONE) {
            return None;
        }
        let products = products + cell[0] * counts;
        Some((products / (squares + counts * counts), bits))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(cells: &[&[f64]]) -> Units {
        Units::of(cells.iter().copied(), Precision::SINGLE)
    }

    #[test]
    fn counts_that_were_divided_have_units() {
        let cell = |unit: f64, counts: &[u32]| -> Vec<f64> {
            counts
                .iter()
                .map(|&count| f64::from(count) * unit)
                .collect()
        };
        let one = cell(10_000.0 / 3_117.0, &[1, 2, 3, 5, 8]);
        let other = cell(10_000.0 / 2_953.0, &[2, 3, 4, 9, 13, 21]);
        let found = units(&[&one, &other]);
        assert!(found.are_there(), "{found:?}");
        assert!((found.units[1] - 10_000.0 / 2_953.0).abs() < 1e-9);
        assert_eq!(found.shared(), None);
        let totals: Vec<Vec<f64>> = (0..20)
            .map(|n| cell(1e4 / f64::from(2_001 + 37 * n), &[1, 2, 3, 4, 5]))
            .collect();
        let totals: Vec<&[f64]> = totals.iter().map(Vec::as_slice).collect();
        assert_eq!(units(&totals).target_sum(), Some(1e4));
    }

    #[test]
    fn other_numbers_have_none() {
        let cell: Vec<f64> = (0..40).map(|n| 1.0 + f64::from(n * n) * 0.0371).collect();
        assert!(!units(&[&cell, &cell[3..]]).are_there());
        assert!(!units(&[&[1.0, 2.0], &[0.5, 1.0]]).are_there());
    }
}
