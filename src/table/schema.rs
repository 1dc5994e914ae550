//! The columns of each table, as the readers of the reference expect them.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use lance_encoding::constants::COMPRESSION_META_KEY;
use serde::{Deserialize, Serialize};

use crate::plan::{Compression, IdType, Plan, PlannedColumn};
use crate::source::{ColumnKind, NumberType};
use crate::survey::ValueType;

/// A table of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableName {
    Expression,
    Genes,
    Cells,
}

impl TableName {
    /// All tables, in the order in which they are committed: a reader that opens the newest
    /// versions may see rows of cells that are not listed yet, never cells without their rows.
    pub const IN_COMMIT_ORDER: [TableName; 3] =
        [TableName::Expression, TableName::Genes, TableName::Cells];

    /// The key of the table in config.json.
    pub fn key(self) -> &'static str {
        match self {
            TableName::Expression => "expression",
            TableName::Genes => "genes",
            TableName::Cells => "cells",
        }
    }

    /// The folder of the table.
    pub fn folder(self) -> &'static str {
        match self {
            TableName::Expression => "expression.lance",
            TableName::Genes => "genes.lance",
            TableName::Cells => "cells.lance",
        }
    }
}

/// The expression table: one row for each non-zero.
pub fn expression_schema(plan: &Plan) -> Schema {
    let id_type = |id_type| match id_type {
        IdType::UInt16 => DataType::UInt16,
        IdType::UInt32 => DataType::UInt32,
        IdType::Int32 => DataType::Int32,
    };
    let value_type = match plan.value.value_type {
        ValueType::UInt16 => DataType::UInt16,
        ValueType::UInt32 => DataType::UInt32,
        ValueType::Int32 => DataType::Int32,
        ValueType::Float32 => DataType::Float32,
        ValueType::Float64 => DataType::Float64,
    };
    let compression = match plan.compression {
        Compression::None => None,
        Compression::Lz4 => Some("lz4"),
        Compression::Zstd => Some("zstd"),
    };
    let field = |name: &str, data_type| {
        let field = Field::new(name, data_type, true);
        match compression {
            Some(scheme) => field.with_metadata(HashMap::from([(
                COMPRESSION_META_KEY.into(),
                scheme.into(),
            )])),
            None => field,
        }
    };
    Schema::new(vec![
        field("cell_integer_id", id_type(plan.cell_type)),
        field("gene_integer_id", id_type(plan.gene_type)),
        field("value", value_type),
    ])
}

/// The table of the cells: the columns of obs, then who the cell is and where its rows begin.
pub fn cells_schema(plan: &Plan) -> Schema {
    let mut fields = frame_fields(&plan.obs);
    fields.extend([
        Field::new("cell_id", DataType::Utf8, true),
        Field::new("cell_integer_id", DataType::Int64, true),
        Field::new("source_file", DataType::Utf8, true),
        Field::new("cell_start_index", DataType::Int64, true),
    ]);
    Schema::new(fields)
}

/// The table of the genes.
pub fn genes_schema(plan: &Plan) -> Schema {
    let mut fields = frame_fields(&plan.var);
    fields.extend([
        Field::new("gene_id", DataType::Utf8, true),
        Field::new("gene_integer_id", DataType::Int64, true),
    ]);
    Schema::new(fields)
}

fn frame_fields(columns: &[PlannedColumn]) -> Vec<Field> {
    columns
        .iter()
        .map(|column| Field::new(&column.written_as, data_type(&column.kind), true))
        .collect()
}

fn data_type(kind: &ColumnKind) -> DataType {
    match kind {
        // Plain texts: the reference's SQL cannot filter dictionaries or large texts.
        ColumnKind::Text | ColumnKind::Categorical { .. } => DataType::Utf8,
        ColumnKind::Time => DataType::Timestamp(TimeUnit::Nanosecond, None),
        ColumnKind::Number(number_type) | ColumnKind::Nullable(number_type) => match number_type {
            NumberType::Bool => DataType::Boolean,
            NumberType::Int8 => DataType::Int8,
            NumberType::Int16 => DataType::Int16,
            NumberType::Int32 => DataType::Int32,
            NumberType::Int64 => DataType::Int64,
            NumberType::UInt8 => DataType::UInt8,
            NumberType::UInt16 => DataType::UInt16,
            NumberType::UInt32 => DataType::UInt32,
            NumberType::UInt64 => DataType::UInt64,
            NumberType::Float16 => DataType::Float16,
            NumberType::Float32 => DataType::Float32,
            NumberType::Float64 => DataType::Float64,
        },
    }
}
