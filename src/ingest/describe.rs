//! What config.json says of a complete dataset.

use std::collections::{BTreeMap, HashSet};

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;

use super::IngestError;
use crate::chunk::{Digest, Tidied, ValueStats};
use crate::dataset::{
    Checkpoint, ColumnDtype, ColumnNote, DatasetConfig, Keys, LayerNote, MatrixRecord, Metadata,
    MultiFile, Optimizations, SourceFile, SourceNote, ValueNote, Writer, matrix_key, timestamp,
};
use crate::plan::{Plan, PlannedColumn, PlannedInput, ShardTable, Table};
use crate::source::{ColumnKind, Inputs, Part};
use crate::table::TableName;

/// Describes the dataset that a job has made, whose tables have these versions and digests.
pub(super) fn describe(
    inputs: &Inputs,
    checkpoint: &Checkpoint,
    versions: BTreeMap<String, u64>,
    digests: BTreeMap<String, Digest>,
) -> Result<DatasetConfig, IngestError> {
    let plan = &checkpoint.plan;
    let mut stats = ValueStats::default();
    for record in checkpoint.records(ShardTable::Expression) {
        for matrix in record.parts.iter().flat_map(|part| &part.matrices) {
            stats.add(&matrix.stats);
        }
    }
    let planned = plan.inputs.iter().enumerate();
    let sources = planned.map(|(number, input)| source_note(checkpoint, number, input));
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
        tables: TableName::of(plan)
            .map(|table| (table.key().to_string(), table.folder().to_string()))
            .collect(),
        optimizations: Optimizations::default(),
        metadata: Metadata::new(shape, &stats),
        obs_dtypes: categories(inputs, &plan.obs, Table::Obs)?,
        var_dtypes: categories(inputs, &plan.var, Table::Var)?,
        layers: keys(plan.layers.iter().map(|layer| (&layer.written_as, None))),
        obsm: keys(plan.obsm.iter().map(|e| (&e.written_as, Some(e.width)))),
        varm: keys(plan.varm.iter().map(|e| (&e.written_as, Some(e.width)))),
        obsp: keys(plan.obsp.iter().map(|p| (&p.written_as, Some(plan.cells)))),
        varp: keys(plan.varp.iter().map(|p| (&p.written_as, Some(plan.genes)))),
        created_at: timestamp(),
        multi_file: Some(MultiFile {
            total_files: plan.inputs.len() as u64,
            total_cells_from_files: plan.cells,
            source_files: files.collect(),
        }),
        writer: Some(Writer::this()),
        versions,
        digests,
        value: Some(ValueNote {
            r#type: plan.value.value_type.to_string(),
            reason: plan.value.reason(),
            stored: plan.value.stored.to_string(),
        }),
        sources: sources.collect(),
        column_notes: column_notes(plan),
        gene_key: (plan.inputs.len() > 1).then(|| plan.gene_plan.key.clone()),
        jobs: vec![checkpoint.job.clone()],
        others: Default::default(),
    })
}

/// What an input gave.
fn source_note(checkpoint: &Checkpoint, number: usize, input: &PlannedInput) -> SourceNote {
    let plan = &checkpoint.plan;
    let mut note = SourceNote {
        path: input.path.clone(),
        source_file: input.source_file.clone(),
        fingerprint: input.fingerprint.clone(),
        open: input.open.clone(),
        matrix: input.main.object.clone(),
        first_cell: input.cells.start,
        cells: input.cells.end - input.cells.start,
        gene_join: (plan.inputs.len() > 1).then(|| input.gene_join.clone()),
        entries: 0,
        rows: 0,
        tidied: Tidied::default(),
        digests: BTreeMap::new(),
        layers: Vec::new(),
        converted: input.converted.clone(),
        left_out: input.left_out.clone(),
        warnings: input.warnings.clone(),
        repeated_cells: input.repeated_cells.clone(),
        repeated_genes: input.repeated_genes.clone(),
    };
    for table in ShardTable::ALL {
        let values = plan.values(table);
        let mut totals: Vec<MatrixRecord> = values
            .iter()
            .map(|value| MatrixRecord::new(value.value_type))
            .collect();
        let records = checkpoint.records(table).into_iter();
        let parts = records.flat_map(|record| &record.parts);
        for part in parts.filter(|part| part.input == number) {
            for (total, matrix) in totals.iter_mut().zip(&part.matrices) {
                total.add(matrix);
            }
        }
        for (total, matrix) in totals.iter().zip(input.matrices(table)) {
            if !matrix.is_readable() {
                continue;
            }
            note.digests.insert(matrix_key(&matrix.name), total.digest);
            if table == ShardTable::Expression {
                note.entries = total.entries;
                note.rows = total.stats.rows;
                note.tidied = total.tidied;
            } else {
                note.layers.push(LayerNote {
                    object: matrix.object.clone(),
                    r#type: total.value_type.to_string(),
                    entries: total.entries,
                    rows: total.stats.rows,
                    tidied: total.tidied,
                });
            }
        }
    }
    note
}

/// The names of a part and what readers of the reference need to know of them: all of them are as
/// they were converted, which means that those readers do not change them.
fn keys<'a>(names: impl Iterator<Item = (&'a String, Option<u64>)>) -> Option<Keys> {
    let mut keys = Keys::default();
    for (name, dimension) in names {
        keys.available.push(name.clone());
        keys.immutable.push(name.clone());
        if let Some(dimension) = dimension {
            keys.dimensions.insert(name.clone(), dimension);
        }
    }
    Some(keys).filter(|keys| !keys.available.is_empty())
}

/// What was written under another name, and the names of an embedding's numbers.
fn column_notes(plan: &Plan) -> Vec<ColumnNote> {
    let mut notes = Vec::new();
    let mut note = |part, column: &str, written_as: &str, columns: Option<&Vec<String>>| {
        if column != written_as || columns.is_some() {
            notes.push(ColumnNote {
                part,
                column: column.to_string(),
                written_as: written_as.to_string(),
                columns: columns.cloned().unwrap_or_default(),
            });
        }
    };
    for (part, columns) in [(Part::Obs, &plan.obs), (Part::Var, &plan.var)] {
        for column in columns {
            note(part, &column.column, &column.written_as, None);
        }
    }
    for layer in &plan.layers {
        note(Part::Layers, &layer.name, &layer.written_as, None);
    }
    for (part, embeddings) in [(Part::Obsm, &plan.obsm), (Part::Varm, &plan.varm)] {
        for e in embeddings {
            note(part, &e.name, &e.written_as, e.columns.as_ref());
        }
    }
    for (part, pairs) in [(Part::Obsp, &plan.obsp), (Part::Varp, &plan.varp)] {
        for pairs in pairs {
            note(part, &pairs.name, &pairs.written_as, None);
        }
    }
    notes
}

/// What restores the columns that are categories in all inputs that have them: the categories of
/// all, in the order in which they come. They have an order only where all inputs have the same.
fn categories(
    inputs: &Inputs,
    columns: &[PlannedColumn],
    table: Table,
) -> Result<BTreeMap<String, ColumnDtype>, IngestError> {
    let mut dtypes: BTreeMap<String, ColumnDtype> = BTreeMap::new();
    let wanted = |column: &&PlannedColumn| matches!(column.kind, ColumnKind::Categorical { .. });
    let columns: Vec<&PlannedColumn> = columns.iter().filter(wanted).collect();
    if columns.is_empty() {
        return Ok(dtypes);
    }
    for number in 0..inputs.len() {
        let source = inputs.get(number)?;
        let frame = match table {
            Table::Obs => source.obs(0..0)?,
            Table::Var => source.var(0..0)?,
        };
        for column in &columns {
            let array = frame.column_by_name(&column.column);
            let values = array.and_then(|array| array.as_dictionary_opt::<Int32Type>());
            let Some(values) = values.map(|dictionary| dictionary.values().as_string::<i32>())
            else {
                continue;
            };
            let found: Vec<String> = values.iter().flatten().map(str::to_string).collect();
            let ColumnKind::Categorical { ordered } = column.kind else {
                continue;
            };
            match dtypes.get_mut(&column.written_as) {
                None => {
                    let dtype = ColumnDtype {
                        dtype: "category".into(),
                        ordered: Some(ordered),
                        categories: Some(found),
                        others: Default::default(),
                    };
                    dtypes.insert(column.written_as.clone(), dtype);
                }
                Some(dtype) => unite(dtype, found),
            }
        }
    }
    Ok(dtypes)
}

/// Adds the categories of another input.
fn unite(dtype: &mut ColumnDtype, found: Vec<String>) {
    let known = dtype.categories.get_or_insert_default();
    if *known == found {
        return;
    }
    dtype.ordered = Some(false);
    let mut seen: HashSet<String> = known.iter().cloned().collect();
    known.extend(found.into_iter().filter(|name| seen.insert(name.clone())));
}
