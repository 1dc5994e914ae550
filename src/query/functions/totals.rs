//! `counts(cell)` and `n_genes(cell)`: the sum and the number of the entries of a cell.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arrow::array::ArrayRef;
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::CellNumbers;

/// Sums over the entries of each cell, once read.
#[derive(Debug)]
pub(in crate::query) struct Totals {
    pub cells: Arc<CellNumbers>,
    /// Type of the sums.
    pub sum: DataType,
    read: OnceLock<Read>,
}

#[derive(Debug)]
struct Read {
    sums: ArrayRef,
    genes: ArrayRef,
    _held: MemoryReservation,
}

impl Totals {
    pub fn new(cells: Arc<CellNumbers>, sum: DataType) -> Self {
        Totals {
            cells,
            sum,
            read: OnceLock::new(),
        }
    }

    /// Whether they were read.
    pub fn are_read(&self) -> bool {
        self.read.get().is_some()
    }

    /// Keeps the sums and the numbers of entries of all cells.
    pub fn keep(&self, sums: ArrayRef, genes: ArrayRef, held: MemoryReservation) {
        let _ = self.read.set(Read {
            sums,
            genes,
            _held: held,
        });
    }
}

/// Which total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Total {
    Counts,
    Genes,
}

/// A function.
#[derive(Debug)]
pub(super) struct TotalFunction {
    name: String,
    total: Total,
    signature: Signature,
    totals: Arc<Totals>,
}

impl TotalFunction {
    pub fn new(name: String, total: Total, totals: Arc<Totals>) -> Self {
        TotalFunction {
            name,
            total,
            signature: Signature::any(1, Volatility::Stable),
            totals,
        }
    }
}

impl PartialEq for TotalFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TotalFunction {}

impl Hash for TotalFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for TotalFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn schema_name(&self, _: &[Expr]) -> Result<String> {
        Ok(self.name.clone())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if let Some(cell) = types.first() {
            CellNumbers::accepts(&self.name, cell)?;
        }
        Ok(match self.total {
            Total::Counts => self.totals.sum.clone(),
            Total::Genes => DataType::Int64,
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(read) = self.totals.read.get() else {
            return exec_err!("the entries of the cells were not summed");
        };
        let [cells] = &arguments.args[..] else {
            return exec_err!("{} takes a cell", self.name);
        };
        let cells = cells.clone().into_array(arguments.number_rows)?;
        let numbers = self.totals.cells.of(&cells)?;
        let totals = match self.total {
            Total::Counts => &read.sums,
            Total::Genes => &read.genes,
        };
        Ok(ColumnarValue::Array(take(totals, &numbers, None)?))
    }
}
