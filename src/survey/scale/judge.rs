//! Determines the scale from a sample of cells.

use super::centred::is_scaled;
use super::multiples::{Precision, Units};
use super::transform::undone;
use super::{LogBase, RowSample, Scale, ScaleKind};
use crate::source::ScalarType;

/// Larger values cannot be logarithms of anything that was counted.
const GREATEST_LOG: f64 = 60.0;

/// Returns the scale of the values of these cells, which are stored in this type. `noted` is the
/// base of the logarithm that, according to the input, was taken; it is used where the values
/// themselves are not conclusive.
pub(crate) fn of_rows(
    sample: &RowSample,
    number_type: ScalarType,
    noted: Option<LogBase>,
) -> Scale {
    let precision = match number_type {
        ScalarType::Float16 => Precision::HALF,
        _ => Precision::SINGLE,
    };
    let mut values = sample.values().iter();
    let finite = values.clone().filter(|value| value.is_finite()).count();
    if finite == 0 {
        return Scale::UNKNOWN;
    }
    if values.clone().any(|&value| value < 0.0) {
        return if is_scaled(sample) {
            Scale::of(ScaleKind::Scaled)
        } else {
            Scale::UNKNOWN
        };
    }
    if finite < sample.values().len() {
        return Scale::UNKNOWN;
    }
    if values.all(|value| value.fract() == 0.0) {
        return Scale::COUNTS;
    }
    let cells = Cells::of(sample);
    if let Some(scale) = log_of_counts(&cells, precision) {
        return scale;
    }
    let whole = || sample.whole.then_some(());
    let found = whole().and_then(|()| by_sums(&cells, precision));
    let found = found.or_else(|| by_units(&cells, precision));
    let found = found.or_else(|| whole().and_then(|()| by_sums_above(&cells, precision)));
    if let Some(scale) = found {
        return scale;
    }
    match noted.filter(|_| cells.greatest <= GREATEST_LOG) {
        Some(base) => normalized(Some(base), None),
        None if is_of_fractions(&cells) => Scale::of(ScaleKind::Fractions),
        None => Scale::UNKNOWN,
    }
}

/// Cells that have values, all of them positive.
struct Cells<'a> {
    all: Vec<&'a [f64]>,
    greatest: f64,
}

impl<'a> Cells<'a> {
    fn of(sample: &'a RowSample) -> Self {
        let values = sample.values().iter();
        Cells {
            all: sample.rows().filter(|cell| !cell.is_empty()).collect(),
            greatest: values.copied().fold(0.0, f64::max),
        }
    }

    /// Share of the values that fulfil the condition.
    fn share(&self, fits: &dyn Fn(f64) -> bool) -> f64 {
        let values = self.all.iter().copied().flatten();
        let (all, fitting) = values.fold((0u64, 0u64), |(all, fitting), &value| {
            (all + 1, fitting + u64::from(fits(value)))
        });
        fitting as f64 / all.max(1) as f64
    }

    /// Transformations that may have been applied last.
    fn transforms(&self) -> impl Iterator<Item = Option<LogBase>> + use<> {
        let logs = (self.greatest <= GREATEST_LOG).then_some(LogBase::ALL);
        let logs = logs.into_iter().flatten().map(Some);
        logs.chain([None])
    }

    /// Returns the values of each cell with the transformation undone, sorted and deduplicated.
    fn distinct(&self, base: Option<LogBase>, precision: Precision) -> Vec<Vec<f64>> {
        let distinct = |cell: &&[f64]| {
            let mut values: Vec<f64> = cell.iter().map(|&value| undone(base, value)).collect();
            values.sort_unstable_by(f64::total_cmp);
            values.dedup_by(|value, before| *value - *before <= precision.relative * *before);
            values
        };
        self.all.iter().map(distinct).collect()
    }
}

/// Detects the logarithm of whole numbers.
fn log_of_counts(cells: &Cells<'_>, precision: Precision) -> Option<Scale> {
    let base = cells.transforms().flatten().find(|&base| {
        let (mut ones, mut others) = (0u64, 0u64);
        for value in cells.all.iter().copied().flatten() {
            let count = base.undo(*value);
            let off = (precision.relative * count).max(1e-4);
            if count < 0.5 || (count - count.round()).abs() > off {
                return false;
            }
            // Values with an error this large are not informative.
            match count.round() == 1.0 {
                _ if off > 0.1 => {}
                true => ones += 1,
                false => others += 1,
            }
        }
        others >= 2 || ones >= 10
    })?;
    Some(Scale {
        kind: ScaleKind::LogCounts,
        base: Some(base),
        target_sum: None,
    })
}

/// Sums of the values of each cell, with a transformation undone.
struct Sums {
    base: Option<LogBase>,
    /// Median of the sums.
    median: f64,
    /// Relative range that contains nine tenths of the sums.
    spread: f64,
    least: f64,
    greatest: f64,
}

impl Sums {
    fn of(cells: &Cells<'_>, base: Option<LogBase>) -> Self {
        let sum = |cell: &&[f64]| cell.iter().map(|&value| undone(base, value)).sum();
        let mut sums: Vec<f64> = cells.all.iter().map(sum).collect();
        sums.sort_unstable_by(f64::total_cmp);
        let at = |part: f64| sums[((sums.len() - 1) as f64 * part).round() as usize];
        let median = at(0.5);
        Sums {
            base,
            median,
            spread: (at(0.95) - at(0.05)) / median,
            least: at(0.05),
            greatest: at(1.0),
        }
    }

    fn are_one(&self, precision: Precision) -> bool {
        self.spread <= precision.sum
    }

    /// The power of ten that the sums equal, if any.
    fn power(&self, precision: Precision) -> Option<f64> {
        let power = 10f64.powf(self.median.log10().round());
        ((self.median - power).abs() <= precision.sum * power).then_some(power)
    }

    /// The power of ten that the sums fall slightly short of because a few genes were left out.
    /// Sums of many numbers are always close to each other, but not to a power of ten.
    fn power_above(&self, precision: Precision) -> Option<f64> {
        let above = |power: &f64| {
            self.greatest <= (1.0 + precision.sum) * power
                && self.greatest >= 0.97 * power
                && self.least >= 0.8 * power
        };
        [1e4, 1e5, 1e6].into_iter().find(above)
    }
}

/// Sums of the cells for each transformation that may have been applied last.
fn sums(cells: &Cells<'_>) -> impl Iterator<Item = Sums> {
    let sums = cells.transforms().map(|base| Sums::of(cells, base));
    sums.filter(|sums| sums.median.is_finite() && sums.spread.is_finite())
}

/// Detects cells whose values all add up to the same sum.
fn by_sums(cells: &Cells<'_>, precision: Precision) -> Option<Scale> {
    let alike: Vec<Sums> = sums(cells).filter(|sums| sums.are_one(precision)).collect();
    let found = match (&alike[..], cells.all.len()) {
        ([], _) => return None,
        ([one], 3..) => one,
        // Identical cells have the same sum under any transformation; so does a single cell.
        (several, _) => only(
            several
                .iter()
                .filter(|sums| sums.power(precision).is_some()),
        )?,
    };
    let sum = match found.power(precision) {
        Some(power) => power,
        None => rounded(found.median),
    };
    Some(normalized(found.base, Some(sum)))
}

/// Detects cells whose values add up to slightly less than the same sum because genes were left out
/// later.
fn by_sums_above(cells: &Cells<'_>, precision: Precision) -> Option<Scale> {
    if cells.all.len() < 8 {
        return None;
    }
    let above = sums(cells).filter_map(|sums| Some((sums.base, sums.power_above(precision)?)));
    let (base, power) = only(above)?;
    Some(normalized(base, Some(power)))
}

/// Returns the item if there is exactly one.
fn only<T>(mut several: impl Iterator<Item = T>) -> Option<T> {
    let first = several.next()?;
    several.next().is_none().then_some(first)
}

/// Detects cells whose values are multiples of a unit.
fn by_units(cells: &Cells<'_>, precision: Precision) -> Option<Scale> {
    cells.transforms().find_map(|base| {
        // If many values are whole, they are unscaled in some cells, and the others were not
        // divided either.
        if base.is_none() && cells.share(&|value| value.fract() == 0.0) >= 0.2 {
            return None;
        }
        let distinct = cells.distinct(base, precision);
        let units = Units::of(distinct.iter().map(Vec::as_slice), precision);
        if !units.are_there() {
            return None;
        }
        match (base, units.shared()) {
            // All cells share the unit: values were not divided by a factor per cell.
            (None, Some(_)) => Some(Scale::of(ScaleKind::Fractions)),
            _ => Some(normalized(base, units.target_sum())),
        }
    })
}

fn normalized(base: Option<LogBase>, target_sum: Option<f64>) -> Scale {
    Scale {
        kind: match base {
            Some(_) => ScaleKind::LogNormalized,
            None => ScaleKind::Normalized,
        },
        base,
        target_sum,
    }
}

/// Rounds a sum to six digits, since no more are reliable.
fn rounded(sum: f64) -> f64 {
    let digits = 10f64.powf(5.0 - sum.log10().floor());
    let rounded = (sum * digits).round() / digits;
    if rounded.is_finite() { rounded } else { sum }
}

/// Whether non-integer values are counts nevertheless: most are close to a whole number or a simple
/// fraction, and some are too large for a logarithm.
fn is_of_fractions(cells: &Cells<'_>) -> bool {
    let off = |value: f64| (value - value.round()).abs();
    // Square roots of counts include ones and twos.
    if cells.share(&|value| off(value * value) < 1e-3) > 0.95 {
        return false;
    }
    let whole = cells.share(&|value| off(value) < 1e-5);
    if whole >= 0.2 {
        return true;
    }
    // Reads that are shared evenly between a few genes.
    if cells.share(&|value| off(value * 60.0) < 2e-3) >= 0.95 {
        return true;
    }
    // Counts from which the estimated contamination was subtracted.
    cells.share(&|value| off(value) < 0.1) >= 0.5 && cells.greatest > 12.0
}
