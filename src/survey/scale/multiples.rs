//! Whether the values of each cell are whole multiples of one unit, as counts are that were divided
//! by a number for each cell.

/// How far values may be from what they are thought to be, by the precision in which they are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Precision {
    /// The part of a value.
    pub relative: f64,
    /// Multiples up to which that is told from chance.
    pub most: f64,
    /// The part of a sum.
    pub sum: f64,
}

impl Precision {
    pub const HALF: Precision = Precision {
        relative: 4e-3,
        most: 24.0,
        sum: 1e-2,
    };
    /// Of float32, and of numbers with six digits in a text.
    pub const SINGLE: Precision = Precision {
        relative: 1e-4,
        most: 300.0,
        sum: 1e-3,
    };

    /// Whether a ratio is a whole number; how far it may be off, which is half of the chance that
    /// any number is.
    fn whole(&self, ratio: f64) -> (bool, f64) {
        let off = 0.005 + self.relative * ratio;
        ((ratio - ratio.round()).abs() <= off, off)
    }
}

/// Counts that the least value of a cell may stand for.
const LEAST_COUNTS: u32 = 40;

/// What the cells of a sample have in common.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// The unit of each cell that has one.
    pub units: Vec<f64>,
    /// By how many bits this is more likely than chance.
    bits: f64,
    /// Cells with and without a unit, of those that could tell.
    with: usize,
    without: usize,
}

/// Bits that make a coincidence of all cells absurd, and that a cell must bring whose least value
/// stands for more than one count.
const ENOUGH: f64 = 24.0;
const ENOUGH_OF_ONE: f64 = 12.0;

impl Units {
    /// Looks at cells, each a list of values above zero in ascending order without repeats.
    pub fn of<'a>(cells: impl Iterator<Item = &'a [f64]>, precision: Precision) -> Self {
        let mut units = Units::default();
        for cell in cells {
            if cell.len() < 2 {
                // One value is a multiple of itself.
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

    /// The unit that all cells share, if they do.
    pub fn shared(&self) -> Option<f64> {
        let first = *self.units.first()?;
        let same = |unit: &&f64| (**unit - first).abs() <= 1e-3 * first;
        (self.units.iter().filter(same).count() * 20 >= self.units.len() * 19).then_some(first)
    }

    /// The sum to which counts were scaled. What a cell had altogether, in whatever genes, is a
    /// whole number of units.
    pub fn target_sum(&self) -> Option<f64> {
        const SUMS: [f64; 8] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7];
        SUMS.into_iter().find(|sum| {
            let totals = self.units.iter().map(|unit| sum / unit);
            // A greater total is not known to the last count.
            let totals: Vec<f64> = totals.filter(|total| (1.5..1e5).contains(total)).collect();
            let whole = |total: &&f64| (**total - total.round()).abs() < 0.05;
            totals.len() >= 12 && totals.iter().filter(whole).count() * 20 >= totals.len() * 19
        })
    }
}

/// The unit of a cell, and by how many bits it is more likely than chance.
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
            // What is so close to the value before would be the same count.
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
