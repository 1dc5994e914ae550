//! What config.json says of a complete dataset.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type};

use super::IngestError;
use crate::chunk::{Tidied, ValueStats};
use crate::dataset::{
    Checkpoint, ColumnDtype, ColumnNote, DatasetConfig, Metadata, MultiFile, Optimizations,
    SourceFile, SourceNote, ValueNote, Writer, timestamp,
};
use crate::plan::{PlannedColumn, Table};
use crate::source::{CellSource, ColumnKind};
use crate::table::TableName;

/// Describes the dataset that a job has made, whose tables have these versions.
pub(super) fn describe(
    source: &dyn CellSource,
    checkpoint: &Checkpoint,
    versions: BTreeMap<String, u64>,
) -> Result<DatasetConfig, IngestError> {
    let plan = &checkpoint.plan;
    let mut stats = ValueStats::default();
    let mut records: Vec<_> = checkpoint.shards.iter().collect();
    records.sort_by_key(|record| record.shard);
    for record in &records {
        stats.add(&record.stats);
    }
    let sources = plan.inputs.iter().enumerate().map(|(number, input)| {
        let mut note = SourceNote {
            path: input.path.clone(),
            source_file: input.source_file.clone(),
            fingerprint: input.fingerprint.clone(),
            first_cell: input.cells.start,
            cells: input.cells.end - input.cells.start,
            entries: 0,
            rows: 0,
            tidied: Tidied::default(),
            left_out: input.left_out.clone(),
            repeated_cells: input.repeated_cells.clone(),
            repeated_genes: input.repeated_genes.clone(),
        };
        for record in records
            .iter()
            .filter(|record| plan.shards[record.shard].input == number)
        {
            note.entries += record.entries;
            note.rows += record.stats.rows;
            note.tidied.add(&record.tidied);
        }
        note
    });
    let files = plan.inputs.iter().map(|input| SourceFile {
        file_path: input.path.display().to_string(),
        file_name: input.source_file.clone(),
        n_cells: input.cells.end - input.cells.start,
        cell_offset: input.cells.start,
        others: Default::default(),
    });
    let shape = [plan.cells, plan.genes];
    Ok(DatasetConfig {
        format_version: DatasetConfig::current_format(),
        array_shape: shape,
        n_cells: plan.cells,
        n_genes: plan.genes,
        tables: TableName::IN_COMMIT_ORDER
            .into_iter()
            .map(|table| (table.key().to_string(), table.folder().to_string()))
            .collect(),
        optimizations: Optimizations::default(),
        metadata: Metadata::new(shape, &stats),
        obs_dtypes: dtypes(&source.obs(0..0)?, &plan.obs),
        var_dtypes: dtypes(&source.var(0..0)?, &plan.var),
        created_at: timestamp(),
        multi_file: Some(MultiFile {
            total_files: plan.inputs.len() as u64,
            total_cells_from_files: plan.cells,
            source_files: files.collect(),
        }),
        writer: Some(Writer::this()),
        versions,
        value: Some(ValueNote {
            r#type: plan.value.value_type.to_string(),
            reason: plan.value.reason(),
            stored: plan.value.stored.to_string(),
        }),
        sources: sources.collect(),
        column_notes: notes(&plan.obs, Table::Obs)
            .chain(notes(&plan.var, Table::Var))
            .collect(),
        jobs: vec![checkpoint.job.clone()],
        others: Default::default(),
    })
}

fn notes(columns: &[PlannedColumn], table: Table) -> impl Iterator<Item = ColumnNote> {
    columns
        .iter()
        .filter(|column| column.column != column.written_as)
        .map(move |column| ColumnNote {
            table,
            column: column.column.clone(),
            written_as: column.written_as.clone(),
        })
}

/// What restores the categorical columns of a frame.
fn dtypes(frame: &RecordBatch, columns: &[PlannedColumn]) -> BTreeMap<String, ColumnDtype> {
    let mut dtypes = BTreeMap::new();
    for (array, column) in frame.columns().iter().zip(columns) {
        let ColumnKind::Categorical { ordered } = column.kind else {
            continue;
        };
        if !matches!(array.data_type(), DataType::Dictionary(_, _)) {
            continue;
        }
        let values = array
            .as_dictionary::<Int32Type>()
            .values()
            .as_string::<i32>()
            .clone();
        dtypes.insert(
            column.written_as.clone(),
            ColumnDtype {
                dtype: "category".into(),
                ordered: Some(ordered),
                categories: Some(
                    (0..values.len())
                        .map(|i| values.value(i).to_string())
                        .collect(),
                ),
                others: Default::default(),
            },
        );
    }
    dtypes
}
