//! Generated rows of an expression table.

/// Number of rows of a batch, as in writing the expression table.
pub const BATCH_ROWS: usize = 1 << 18;

/// Number of genes.
pub const GENES: usize = 20_000;
const GENES_OF_A_CELL: usize = 1_600;

/// Columns of a batch.
#[derive(Default)]
pub struct Rows {
    /// Cell of each row.
    pub cells: Vec<u32>,
    /// Gene of each row.
    pub genes: Vec<u16>,
    /// Value of each row.
    pub values: Vec<u16>,
}

/// Generates rows that resemble counts: few genes per cell, most of them counted once or twice, and
/// some much more often.
pub struct Maker {
    random: u64,
    /// Mean count of each gene in the cells in which it occurs.
    means: Vec<f64>,
    cell: u32,
    gene: usize,
}

impl Maker {
    /// Creates a generator with a fixed seed.
    pub fn new() -> Self {
        let mut maker = Maker {
            random: 0x9e37_79b9_7f4a_7c15,
            means: Vec::new(),
            // In the middle of a dataset: as many bits as most of its cells have.
            cell: 10_000,
            gene: 0,
        };
        maker.means = (0..GENES)
            .map(|_| {
                let normal = (0..12).map(|_| maker.uniform()).sum::<f64>() - 6.0;
                1.0 + 0.25 * (1.7 * normal).exp()
            })
            .collect();
        maker
    }

    /// Returns a number between 0 and 1, using Marsaglia's xorshift.
    fn uniform(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Returns a geometrically distributed number that is at least 1 and has this mean.
    fn geometric(&mut self, mean: f64) -> usize {
        1 + (self.uniform().ln() / (-1.0 / mean).ln_1p()) as usize
    }

    /// Returns the next batch.
    pub fn batch(&mut self) -> Rows {
        let mut rows = Rows::default();
        while rows.cells.len() < BATCH_ROWS {
            self.gene += self.geometric(GENES as f64 / GENES_OF_A_CELL as f64);
            if self.gene > GENES {
                self.gene = 0;
                self.cell += 1;
                continue;
            }
            let gene = self.gene - 1;
            let value = self.geometric(self.means[gene]);
            rows.cells.push(self.cell);
            rows.genes.push(gene as u16);
            rows.values.push(value.min(usize::from(u16::MAX)) as u16);
        }
        rows
    }
}
