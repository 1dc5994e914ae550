//! Generated count matrices, and common transformations of them.

use slaf::source::TypedVec;

use super::memory_source::MemorySource;

/// A matrix, cell by cell; zeros are omitted when it is stored.
#[derive(Debug, Clone)]
pub struct Made {
    pub genes: usize,
    pub cells: Vec<Vec<f64>>,
}

/// A pseudo-random number generator with reproducible output.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number between 0 and 1.
    pub fn part(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        let angle = std::f64::consts::TAU * self.part();
        (-2.0 * self.part().ln()).sqrt() * angle.cos()
    }

    fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 40.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.part(), 0.0);
        while product > limit {
            product *= self.part();
            count += 1.0;
        }
        count
    }
}

/// Generates counts for cells of different depths and genes of very different means; `spread` is
/// the variation of a gene between cells beyond chance.
pub fn counts(seed: u64, cells: usize, genes: usize, depth: f64, spread: f64) -> Made {
    let mut dice = Dice::new(seed);
    let means: Vec<f64> = (0..genes).map(|_| (1.6 * dice.normal()).exp()).collect();
    let total: f64 = means.iter().sum();
    let cells = (0..cells).map(|_| {
        let depth = depth * (0.5 * dice.normal()).exp();
        let count = |mean: &f64| {
            let varied = mean / total * depth * (spread * dice.normal()).exp();
            dice.poisson(varied)
        };
        means.iter().map(count).collect()
    });
    Made {
        genes,
        cells: cells.collect(),
    }
}

impl Made {
    pub fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        self.by_cell(|cell| cell.iter().map(|&value| change(value)).collect())
    }

    pub fn by_cell(&self, change: impl FnMut(&Vec<f64>) -> Vec<f64>) -> Self {
        let cells: Vec<Vec<f64>> = self.cells.iter().map(change).collect();
        Made {
            genes: cells.first().map_or(self.genes, Vec::len),
            cells,
        }
    }

    /// As `scanpy.pp.normalize_total`; `None` for the median of the sums.
    pub fn scaled_to(&self, target: Option<f64>) -> Self {
        let mut sums: Vec<f64> = self.cells.iter().map(|cell| cell.iter().sum()).collect();
        sums.sort_unstable_by(f64::total_cmp);
        let target = target.unwrap_or(sums[sums.len() / 2]);
        self.by_cell(|cell| {
            let sum: f64 = cell.iter().sum();
            let sum = if sum == 0.0 { 1.0 } else { sum };
            cell.iter().map(|value| value / (sum / target)).collect()
        })
    }

    /// Keeps every `step`-th gene only.
    pub fn every_gene(&self, step: usize) -> Self {
        self.by_cell(|cell| cell.iter().step_by(step).copied().collect())
    }

    /// z-scores per gene, as `scanpy.pp.scale` computes them, clipped to `most`.
    pub fn z_scores(&self, most: f64) -> Self {
        let n = self.cells.len() as f64;
        let mut made = self.clone();
        for gene in 0..self.genes {
            let mean = self.cells.iter().map(|cell| cell[gene]).sum::<f64>() / n;
            let squares = self.cells.iter().map(|cell| (cell[gene] - mean).powi(2));
            let std = (squares.sum::<f64>() / (n - 1.0)).sqrt();
            let std = if std == 0.0 { 1.0 } else { std };
            for cell in &mut made.cells {
                cell[gene] = ((cell[gene] - mean) / std).min(most);
            }
        }
        made
    }

    /// What remains of each gene after the part explained by the depth of the cells is removed, as
    /// `scanpy.pp.regress_out` does.
    pub fn regressed(&self) -> Self {
        let n = self.cells.len() as f64;
        let depths: Vec<f64> = self.cells.iter().map(|cell| cell.iter().sum()).collect();
        let middle = depths.iter().sum::<f64>() / n;
        let squares: f64 = depths.iter().map(|depth| (depth - middle).powi(2)).sum();
        let mut made = self.clone();
        for gene in 0..self.genes {
            let mean = self.cells.iter().map(|cell| cell[gene]).sum::<f64>() / n;
            let pairs = self.cells.iter().zip(&depths);
            let product: f64 = pairs
                .map(|(cell, depth)| (cell[gene] - mean) * (depth - middle))
                .sum();
            for (cell, depth) in made.cells.iter_mut().zip(&depths) {
                cell[gene] -= mean + product / squares * (depth - middle);
            }
        }
        made
    }

    /// Pearson residuals, as computed by `scanpy.experimental.pp.normalize_pearson_residuals`.
    pub fn residuals(&self) -> Self {
        let total: f64 = self.cells.iter().flatten().sum();
        let genes: Vec<f64> = (0..self.genes)
            .map(|gene| self.cells.iter().map(|cell| cell[gene]).sum::<f64>() / total)
            .collect();
        let most = (self.cells.len() as f64).sqrt();
        self.by_cell(|cell| {
            let depth: f64 = cell.iter().sum();
            let residual = |(value, part): (&f64, &f64)| {
                let mean = depth * part;
                if mean > 0.0 {
                    ((value - mean) / (mean + mean * mean / 100.0).sqrt()).clamp(-most, most)
                } else {
                    0.0
                }
            };
            cell.iter().zip(&genes).map(residual).collect()
        })
    }

    /// Non-zero entries in the form that [`super::h5ad_writer::write_matrix`] takes.
    pub fn entries(&self) -> Vec<(usize, usize, f32)> {
        let cells = self.cells.iter().enumerate();
        cells
            .flat_map(|(cell, values)| {
                let values = values.iter().enumerate();
                let there = values.filter(|(_, value)| **value != 0.0);
                there.map(move |(gene, &value)| (cell, gene, value as f32))
            })
            .collect()
    }

    /// Returns an input that stores the values in this way.
    pub fn source(&self, store: impl Fn(Vec<f64>) -> TypedVec) -> MemorySource {
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for cell in &self.cells {
            let there = (0i32..).zip(cell).filter(|(_, value)| **value != 0.0);
            let (genes, own): (Vec<i32>, Vec<f64>) = there.unzip();
            rows.push(genes);
            values.extend(own);
        }
        let sampled = values.len();
        MemorySource::new(self.genes as u64, &rows, store(values), sampled)
    }
}

pub fn single(values: Vec<f64>) -> TypedVec {
    TypedVec::Float32(values.into_iter().map(|value| value as f32).collect())
}

pub fn half(values: Vec<f64>) -> TypedVec {
    TypedVec::Float16(values.into_iter().map(half::f16::from_f64).collect())
}

pub fn whole(values: Vec<f64>) -> TypedVec {
    TypedVec::Int32(values.into_iter().map(|value| value as i32).collect())
}
