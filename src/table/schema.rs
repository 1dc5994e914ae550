//! Columns of each table, as expected by readers of the reference.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use lance_encoding::constants::{BSS_META_KEY, COMPRESSION_META_KEY, RLE_THRESHOLD_META_KEY};
use serde::{Deserialize, Serialize};

use crate::plan::{Plan, PlannedColumn, PlannedEmbedding, ShardTable};

/// Lance tries run-length encoding for a column if its number of runs is below this fraction of its
/// rows. The first column has long runs; for the others, trying is futile and takes longer than
/// encoding them; see benches/README.md.
const RUNS: &str = "0.05";

/// A table of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableName {
    /// Non-zeros of X.
    Expression,
    /// Non-zeros of the layers.
    Layers,
    /// The genes: identifiers, var columns and embeddings.
    Genes,
    /// Matrices of genes × genes.
    Varp,
    /// Matrices of cells × cells.
    Obsp,
    /// The cells: identifiers, obs columns and embeddings.
    Cells,
}

impl TableName {
    /// All tables, in the order in which they are committed: a reader that opens the newest
    /// versions may see rows of cells that are not listed yet, but never cells without their rows.
    pub const IN_COMMIT_ORDER: [TableName; 6] = [
        TableName::Expression,
        TableName::Layers,
        TableName::Genes,
        TableName::Varp,
        TableName::Obsp,
        TableName::Cells,
    ];

    /// Key of the table in config.json.
    pub fn key(self) -> &'static str {
        match self {
            TableName::Expression => "expression",
            TableName::Layers => "layers",
            TableName::Genes => "genes",
            TableName::Varp => "genesxgenes",
            TableName::Obsp => "cellsxcells",
            TableName::Cells => "cells",
        }
    }

    /// Integer columns that identify the position of a row.
    pub fn number_columns(self) -> &'static [&'static str] {
        match self {
            TableName::Expression | TableName::Layers => &["cell_integer_id", "gene_integer_id"],
            TableName::Varp => &["gene_integer_id_i", "gene_integer_id_j"],
            TableName::Obsp => &["cell_integer_id_i", "cell_integer_id_j"],
            TableName::Genes => &["gene_integer_id"],
            TableName::Cells => &["cell_integer_id"],
        }
    }

    /// Columns that every such table has.
    pub fn own_columns(self) -> &'static [&'static str] {
        match self {
            TableName::Expression => &["cell_integer_id", "gene_integer_id", "value"],
            TableName::Genes => &["gene_id", "gene_integer_id"],
            TableName::Cells => &[
                "cell_id",
                "cell_integer_id",
                "source_file",
                "cell_start_index",
            ],
            other => other.number_columns(),
        }
    }

    /// Name of the table's folder.
    pub fn folder(self) -> &'static str {
        match self {
            TableName::Expression => "expression.lance",
            TableName::Layers => "layers.lance",
            TableName::Genes => "genes.lance",
            TableName::Varp => "genesxgenes.lance",
            TableName::Obsp => "cellsxcells.lance",
            TableName::Cells => "cells.lance",
        }
    }

    /// Returns the tables that a plan has, in the order in which they are committed.
    pub fn of(plan: &Plan) -> impl Iterator<Item = TableName> {
        Self::IN_COMMIT_ORDER
            .into_iter()
            .filter(|table| match table {
                TableName::Expression | TableName::Genes | TableName::Cells => true,
                TableName::Layers => !plan.layers.is_empty(),
                TableName::Varp => !plan.varp.is_empty(),
                TableName::Obsp => !plan.obsp.is_empty(),
            })
    }
}

impl From<ShardTable> for TableName {
    fn from(table: ShardTable) -> Self {
        match table {
            ShardTable::Expression => TableName::Expression,
            ShardTable::Layers => TableName::Layers,
            ShardTable::Obsp => TableName::Obsp,
            ShardTable::Varp => TableName::Varp,
        }
    }
}

/// Returns the schema of a table.
pub fn schema(table: TableName, plan: &Plan) -> Schema {
    match table {
        TableName::Expression => entries(plan, ShardTable::Expression),
        TableName::Layers => entries(plan, ShardTable::Layers),
        TableName::Obsp => entries(plan, ShardTable::Obsp),
        TableName::Varp => entries(plan, ShardTable::Varp),
        TableName::Genes => genes(plan),
        TableName::Cells => cells(plan),
    }
}

/// Schema of a table of non-zeros, with one row per coordinate.
fn entries(plan: &Plan, table: ShardTable) -> Schema {
    let (ids, names): (_, Vec<&str>) = match table {
        ShardTable::Expression => (["cell_integer_id", "gene_integer_id"], vec!["value"]),
        ShardTable::Layers => (
            ["cell_integer_id", "gene_integer_id"],
            plan.layers.iter().map(|l| l.written_as.as_str()).collect(),
        ),
        ShardTable::Obsp => (
            ["cell_integer_id_i", "cell_integer_id_j"],
            plan.obsp.iter().map(|p| p.written_as.as_str()).collect(),
        ),
        ShardTable::Varp => (
            ["gene_integer_id_i", "gene_integer_id_j"],
            plan.varp.iter().map(|p| p.written_as.as_str()).collect(),
        ),
    };
    let compression = plan.compression.scheme();
    let field = |name: &str, data_type| {
        let mut metadata = HashMap::new();
        if let Some(scheme) = compression {
            metadata.insert(COMPRESSION_META_KEY.into(), scheme.into());
        }
        if name == ids[0] {
            // Runs per cell take less space than bytes split into streams and compressed.
            metadata.insert(BSS_META_KEY.into(), "off".into());
        } else {
            metadata.insert(RLE_THRESHOLD_META_KEY.into(), RUNS.into());
        }
        Field::new(name, data_type, true).with_metadata(metadata)
    };
    let ids = ids
        .into_iter()
        .zip(plan.id_types(table))
        .map(|(name, id_type)| field(name, id_type.arrow()));
    let values = names.into_iter().zip(plan.values(table));
    let values = values.map(|(name, value)| field(name, value.value_type.arrow()));
    Schema::new(ids.chain(values).collect::<Vec<_>>())
}

/// obs columns, identifiers and first rows of the cells, then embeddings.
fn cells(plan: &Plan) -> Schema {
    let mut fields = frame_fields(&plan.obs);
    fields.extend([
        Field::new("cell_id", DataType::Utf8, true),
        Field::new("cell_integer_id", DataType::Int64, true),
        Field::new("source_file", DataType::Utf8, true),
        Field::new("cell_start_index", DataType::Int64, true),
    ]);
    fields.extend(plan.obsm.iter().map(embedding));
    Schema::new(fields)
}

fn genes(plan: &Plan) -> Schema {
    let mut fields = frame_fields(&plan.var);
    fields.extend([
        Field::new("gene_id", DataType::Utf8, true),
        Field::new("gene_integer_id", DataType::Int64, true),
    ]);
    fields.extend(plan.varm.iter().map(embedding));
    Schema::new(fields)
}

fn embedding(embedding: &PlannedEmbedding) -> Field {
    let item = Arc::new(Field::new("item", embedding.float_type.arrow(), true));
    // The plan refuses wider embeddings.
    let width = i32::try_from(embedding.width).unwrap_or(i32::MAX);
    Field::new(
        &embedding.written_as,
        DataType::FixedSizeList(item, width),
        true,
    )
}

fn frame_fields(columns: &[PlannedColumn]) -> Vec<Field> {
    columns
        .iter()
        .map(|column| Field::new(&column.written_as, column.kind.arrow(), true))
        .collect()
}
