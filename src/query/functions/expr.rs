//! `expr('CD3E')`: the value of a gene for each cell.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{ArrayRef, Datum, Scalar, UInt32Array, new_null_array};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{and, is_not_null, is_null, take};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err, exec_err, plan_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::CellNumbers;

/// Values of the genes that a query names.
#[derive(Debug)]
pub(in crate::query) struct GeneColumns {
    pub cells: Arc<CellNumbers>,
    /// Type of the values.
    pub value: DataType,
    known: RwLock<HashMap<String, Arc<GeneColumn>>>,
}

/// The entries of a gene: cells in order, and their values.
#[derive(Debug)]
pub(in crate::query) struct GeneColumn {
    pub cells: UInt32Array,
    pub values: ArrayRef,
    /// What they take of the memory of queries.
    pub _held: MemoryReservation,
}

impl GeneColumns {
    pub fn new(cells: Arc<CellNumbers>, value: DataType) -> Self {
        GeneColumns {
            cells,
            value,
            known: RwLock::default(),
        }
    }

    /// Whether the entries of a gene were read.
    pub fn has(&self, gene: &str) -> bool {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(gene)
    }

    /// Keeps the entries of a gene.
    pub fn keep(&self, gene: &str, column: GeneColumn) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(gene.to_string(), Arc::new(column));
    }

    fn values(&self, gene: &str, cells: &ArrayRef) -> Result<ArrayRef> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let Some(column) = known.get(gene).cloned() else {
            return exec_err!("the values of {gene} were not read");
        };
        drop(known);
        let numbers = self.cells.of(cells)?;
        let entries = column.cells.values();
        let places = numbers.iter().map(|number| {
            let place = entries.binary_search(&number?).ok()?;
            u32::try_from(place).ok()
        });
        let places: UInt32Array = places.collect();
        let found = take(&column.values, &places, None)?;
        // Absent is 0; of no cell, nothing is known.
        let zero = ScalarValue::new_zero(&self.value)?.to_array()?;
        let absent = and(&is_null(&found)?, &is_not_null(&numbers)?)?;
        let zero: &dyn Datum = &Scalar::new(zero);
        Ok(zip(&absent, zero, &found)?)
    }
}

/// The function.
#[derive(Debug)]
pub(super) struct ExprFunction {
    name: String,
    signature: Signature,
    columns: Arc<GeneColumns>,
}

impl ExprFunction {
    pub fn new(name: String, columns: Arc<GeneColumns>) -> Self {
        ExprFunction {
            name,
            // Of the dataset, which does not change: but nothing is known of it while a query is planned.
            signature: Signature::any(2, Volatility::Stable),
            columns,
        }
    }
}

impl PartialEq for ExprFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ExprFunction {}

impl Hash for ExprFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for ExprFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        Ok(match arguments {
            [Expr::Literal(gene, _), ..] => format!("{}('{gene}')", self.name),
            _ => self.name.clone(),
        })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.columns.value.clone())
    }

    fn return_field_from_args(
        &self,
        arguments: ReturnFieldArgs<'_>,
    ) -> Result<arrow::datatypes::FieldRef> {
        let gene = arguments.scalar_arguments.first().copied().flatten();
        if gene.and_then(|gene| gene.try_as_str()).flatten().is_none() {
            return plan_err!(
                "expr takes the name of one gene in quotes, as expr('CD3E'); for several genes, use the view x"
            );
        }
        if let Some(cell) = arguments.arg_fields.get(1) {
            CellNumbers::accepts(EXPR_OF, cell.data_type())?;
        }
        let field = arrow::datatypes::Field::new(&self.name, self.columns.value.clone(), true);
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let [ColumnarValue::Scalar(gene), cells] = &arguments.args[..] else {
            return exec_err!("expr takes a gene and a cell");
        };
        let gene = gene.try_as_str().flatten();
        let gene = gene.ok_or_else(|| exec_datafusion_err!("expr takes the name of a gene"))?;
        if matches!(cells, ColumnarValue::Scalar(cell) if cell.is_null()) {
            return Ok(ColumnarValue::Array(new_null_array(
                &self.columns.value,
                rows,
            )));
        }
        let cells = cells.clone().into_array(rows)?;
        Ok(ColumnarValue::Array(self.columns.values(gene, &cells)?))
    }
}

/// How the function is called in messages.
const EXPR_OF: &str = "expr";
