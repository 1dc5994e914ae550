//! Detection of z-scores: values centred by gene and divided by the gene's standard deviation.

use super::RowSample;

/// Statistics of one gene's values in the sample.
#[derive(Clone, Copy, Default)]
struct Gene {
    sum: f64,
    squares: f64,
    least: f64,
    /// Number of cells that have the minimum.
    least_in: usize,
    /// Number of cells with a non-zero value, and of those, cells with a negative value.
    present: usize,
    below: usize,
}

/// Maximum number of columns for which statistics per gene are computed; a wider matrix is not
/// indexed by genes.
const MOST_GENES: usize = 1 << 20;

/// Whether each gene of the sample has a mean of about 0 and a standard deviation of about 1.
///
/// So have Pearson residuals; see [`are_residuals`].
pub(super) fn is_scaled(sample: &RowSample) -> bool {
    let cells = sample.len();
    if cells < 2 {
        return false;
    }
    let Some(genes) = by_gene(sample) else {
        return is_scaled_altogether(sample);
    };
    let moments: Vec<(f64, f64)> = genes.iter().map(|gene| moments(gene, cells)).collect();
    let varying: Vec<(f64, f64)> = moments.into_iter().filter(|(_, std)| *std > 0.0).collect();
    if varying.is_empty() {
        return false;
    }
    let share = |fits: &dyn Fn(&(f64, f64)) -> bool| {
        varying.iter().filter(|gene| fits(gene)).count() as f64 / varying.len() as f64
    };
    if sample.complete {
        // The sample or the population std is 1; large values may have been clipped.
        let one = cells as f64 / (cells as f64 - 1.0);
        let close = |std: f64| (std - 1.0).abs() < 0.01 || (std * one.sqrt() - 1.0).abs() < 0.01;
        if share(&|(mean, std)| mean.abs() < 0.02 && close(*std)) >= 0.5 {
            return true;
        }
    }
    // The mean of a sample of n has a standard error of 1/√n, and more where cells are grouped.
    let overall = varying.iter().map(|(mean, _)| mean).sum::<f64>() / varying.len() as f64;
    if overall.abs() > 0.15 || share(&|(mean, _)| mean.abs() < 0.6) < 0.5 {
        return false;
    }
    let alike = genes.iter().filter(|gene| gene.least_in >= 2).count();
    let typical = share(&|(_, std)| (0.5..1.6).contains(std));
    if alike * 2 >= genes.len() {
        // Cells may have been selected after scaling.
        cells >= 10 && typical >= 0.2
    } else {
        // A covariate may have been regressed out before.
        !sample.complete && typical >= 0.8 && !are_residuals(sample)
    }
}

/// Whether the values are Pearson residuals. For genes absent from most cells, the residual of a
/// cell is about -√(depth of the cell × share of the gene), so that two genes have the same ratio
/// in all cells.
fn are_residuals(sample: &RowSample) -> bool {
    const LOOKED_AT: usize = 24;
    let (Some(ids), cells) = (sample.genes(), sample.len()) else {
        return false;
    };
    let Some(genes) = genes_by_number(sample) else {
        return false;
    };
    let rare = genes.iter().enumerate();
    let rare = rare.filter(|(_, gene)| gene.below * 10 >= cells * 8);
    let rare: Vec<u32> = rare.map(|(id, _)| id as u32).take(LOOKED_AT).collect();
    let mut columns = vec![vec![f64::NAN; cells]; rare.len()];
    let mut start = 0;
    for (cell, row) in sample.rows().enumerate() {
        let places = &ids[start..start + row.len()];
        for (id, &value) in places.iter().zip(row) {
            if let Ok(place) = rare.binary_search(id) {
                columns[place][cell] = value;
            }
        }
        start += row.len();
    }
    let pairs = columns.windows(2);
    let one_ratio = pairs.clone().filter(|pair| {
        let both = pair[0].iter().zip(&pair[1]);
        let both = both.filter(|(one, other)| **one < 0.0 && **other < 0.0);
        let mut ratios: Vec<f64> = both.map(|(one, other)| one / other).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let at = |part: usize| ratios.get(ratios.len() * part / 8).copied();
        match (at(1), at(7)) {
            (Some(low), Some(high)) => high - low <= 0.02 * high,
            _ => false,
        }
    });
    rare.len() >= 4 && one_ratio.count() * 2 >= pairs.len()
}

fn moments(gene: &Gene, cells: usize) -> (f64, f64) {
    let cells = cells as f64;
    let mean = gene.sum / cells;
    let variance = (gene.squares - cells * mean * mean) / (cells - 1.0);
    (mean, variance.max(0.0).sqrt())
}

/// Statistics of each gene that has a value; `None` if the sample does not say which gene a value
/// belongs to.
fn by_gene(sample: &RowSample) -> Option<Vec<Gene>> {
    let mut genes = genes_by_number(sample)?;
    genes.retain(|gene| gene.present > 0);
    Some(genes)
}

/// Statistics of each gene, up to the last one that has a value.
fn genes_by_number(sample: &RowSample) -> Option<Vec<Gene>> {
    let ids = sample.genes()?;
    let most = ids
        .iter()
        .copied()
        .max()
        .map_or(0, |most| most as usize + 1);
    if most > MOST_GENES {
        return None;
    }
    let mut genes = vec![Gene::default(); most];
    for (&id, &value) in ids.iter().zip(sample.values()) {
        if !value.is_finite() {
            continue;
        }
        let gene = &mut genes[id as usize];
        gene.sum += value;
        gene.squares += value * value;
        if gene.present > 0 && value >= gene.least {
            gene.least_in += usize::from(value == gene.least);
        } else {
            (gene.least, gene.least_in) = (value, 1);
        }
        gene.present += 1;
        gene.below += usize::from(value < 0.0);
    }
    Some(genes)
}

/// Same test over all values together, for samples that do not say which gene a value belongs to.
fn is_scaled_altogether(sample: &RowSample) -> bool {
    let values = sample.values().iter().filter(|value| value.is_finite());
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        sum += value;
        squares += value * value;
    }
    let mean = sum / count;
    let std = (squares / count - mean * mean).max(0.0).sqrt();
    count >= 100.0 && mean.abs() < 0.1 && (0.5..1.5).contains(&std)
}
