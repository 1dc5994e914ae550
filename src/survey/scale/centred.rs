//! Values about zero: each gene less its mean, in units of its standard deviation.

use super::RowSample;

/// A gene's values in the sample.
#[derive(Clone, Copy, Default)]
struct Gene {
    sum: f64,
    squares: f64,
    least: f64,
    /// Cells that have the least value.
    least_in: usize,
    /// Cells that have a value, which is not zero, and those of which it is below zero.
    present: usize,
    below: usize,
}

/// Genes that are looked at, at most: a matrix of more is none of genes.
const MOST_GENES: usize = 1 << 20;

/// Whether each gene of the sample has a mean of about zero and a standard deviation of about one.
///
/// Residuals have them, too; but see [`are_residuals`].
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
        // One of the two standard deviations is one; great values may have been clipped.
        let one = cells as f64 / (cells as f64 - 1.0);
        let close = |std: f64| (std - 1.0).abs() < 0.01 || (std * one.sqrt() - 1.0).abs() < 0.01;
        if share(&|(mean, std)| mean.abs() < 0.02 && close(*std)) >= 0.5 {
            return true;
        }
    }
    // The mean of a sample of n is off by a standard deviation of 1/√n, and by more where cells lie
    // in groups.
    let overall = varying.iter().map(|(mean, _)| mean).sum::<f64>() / varying.len() as f64;
    if overall.abs() > 0.15 || share(&|(mean, _)| mean.abs() < 0.6) < 0.5 {
        return false;
    }
    let alike = genes.iter().filter(|gene| gene.least_in >= 2).count();
    let typical = share(&|(_, std)| (0.5..1.6).contains(std));
    match alike * 2 >= genes.len() {
        // Cells may have been chosen after they were scaled.
        true => cells >= 10 && typical >= 0.2,
        // Something was regressed out before.
        false => !sample.complete && typical >= 0.8 && !are_residuals(sample),
    }
}

/// Whether these are Pearson residuals: of genes that most cells lack, that of a cell is about
/// -√(depth of the cell × share of the gene), so that two genes have one ratio in all cells.
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

/// What is known of each gene that has a value; `None` where genes are not known.
fn by_gene(sample: &RowSample) -> Option<Vec<Gene>> {
    let mut genes = genes_by_number(sample)?;
    genes.retain(|gene| gene.present > 0);
    Some(genes)
}

/// What is known of each gene up to the last that has a value.
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
        match gene.present > 0 && value >= gene.least {
            true => gene.least_in += usize::from(value == gene.least),
            false => (gene.least, gene.least_in) = (value, 1),
        }
        gene.present += 1;
        gene.below += usize::from(value < 0.0);
    }
    Some(genes)
}

/// Likewise for all values together, where it is not known of which gene each is.
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
