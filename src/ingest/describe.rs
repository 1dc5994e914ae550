//! Makes the config.json of a complete dataset.

use std::collections::BTreeMap;

use super::categories::Categories;
use super::originals::originals;
use crate::chunk::{Canonicalized, Digest};
use crate::dataset::{
    CellHashes, Checkpoint, ColumnNote, DatasetConfig, Keys, LayerNote, MatrixRecord, Metadata,
    MultiFile, RecountedRange, SourceFile, SourceNote, UnsKeys, ValueNote, Writer, matrix_key,
    timestamp,
};
use crate::plan::{Plan, PlannedColumn, PlannedInput, ShardTable, not_counts};
use crate::source::{Note, Part};
use crate::table::TableName;

/// The tables of a dataset once the job has committed them.
pub(super) struct CommittedTables {
    /// Lance version of each table.
    pub versions: BTreeMap<String, u64>,
    /// Digest of each table.
    pub digests: BTreeMap<String, Digest>,
    /// Files with the identifier hashes of the cells.
    pub cell_hashes: Vec<CellHashes>,
    /// What restores columns of categories.
    pub categories: Categories,
    /// What uns.json is known by, if the job wrote it.
    pub uns: Option<CommittedUns>,
    /// Warnings about each input.
    pub warnings: Vec<Vec<String>>,
}

/// The hash of uns.json, and those of the values of its keys.
pub(super) struct CommittedUns {
    pub xxh3: String,
    pub keys: Option<UnsKeys>,
}

/// Describes the dataset that a job has made, or appended to. `before` is what its config said
/// before.
pub(super) fn describe(
    checkpoint: &Checkpoint,
    before: Option<&DatasetConfig>,
    committed: CommittedTables,
) -> DatasetConfig {
    let plan = &checkpoint.plan;
    let old = before.cloned().unwrap_or_default();
    let recounted = checkpoint.recounted.as_ref();
    let mut stats = match recounted {
        Some(recounted) => recounted.stats,
        None => old.sums.unwrap_or_default(),
    };
    for record in checkpoint.records(ShardTable::Expression) {
        for matrix in record.parts.iter().flat_map(|part| &part.matrices) {
            stats.add(&matrix.stats);
        }
    }
    let others = recounted.map_or(&[][..], |recounted| &recounted.ranges);
    let planned = plan.inputs.iter().enumerate();
    let totals = ShardTable::ALL.map(|table| checkpoint.totals(table));
    let sources = planned.map(|(number, input)| {
        let mut note = source_note(checkpoint, &totals, number, input);
        let found = committed.warnings.get(number);
        note.warnings.extend(found.cloned().unwrap_or_default());
        note
    });
    let others_sources = others.iter().map(SourceNote::of_another);
    let shape = [plan.cells, plan.genes];
    let now = timestamp();
    let mut tables = old.tables;
    for table in TableName::of(plan) {
        tables.insert(table.key().to_string(), table.folder().to_string());
    }
    let Categories { obs, var } = committed.categories;
    let (uns_xxh3, uns_keys) = match committed.uns {
        Some(uns) => (Some(uns.xxh3), uns.keys),
        None => (old.uns_xxh3, old.uns_keys),
    };
    DatasetConfig {
        format_version: match before {
            Some(_) => old.format_version,
            None => DatasetConfig::current_format(),
        },
        array_shape: shape,
        n_cells: plan.cells,
        n_genes: plan.genes,
        tables,
        // Where they are listed, readers of the reference see no others.
        obs: old.obs.and_then(|keys| listed(keys, &plan.obs)),
        var: old.var.and_then(|keys| listed(keys, &plan.var)),
        added_columns: old.added_columns,
        optimizations: old.optimizations,
        metadata: Metadata::new(shape, &stats),
        obs_dtypes: obs,
        var_dtypes: var,
        layers: keys(
            old.layers,
            plan.layers.iter().map(|layer| (&layer.written_as, None)),
        ),
        obsm: keys(
            old.obsm,
            plan.obsm.iter().map(|e| (&e.written_as, Some(e.width))),
        ),
        varm: keys(
            old.varm,
            plan.varm.iter().map(|e| (&e.written_as, Some(e.width))),
        ),
        obsp: keys(
            old.obsp,
            plan.obsp.iter().map(|p| (&p.written_as, Some(plan.cells))),
        ),
        varp: keys(
            old.varp,
            plan.varp.iter().map(|p| (&p.written_as, Some(plan.genes))),
        ),
        created_at: match before {
            Some(_) => old.created_at,
            None => now.clone(),
        },
        last_updated: before.map(|_| now.clone()),
        multi_file: Some(files(old.multi_file, others, plan)),
        writer: Some(Writer::this()),
        described_at: now,
        versions: committed.versions,
        digests: committed.digests,
        sums: Some(stats),
        value: Some(match old.value {
            Some(value) if value.r#type == plan.value.value_type.to_string() => value,
            _ => ValueNote {
                r#type: plan.value.value_type.to_string(),
                reason: plan.value.reason(),
                stored: plan.value.stored.to_string(),
            },
        }),
        sources: old
            .sources
            .into_iter()
            .chain(others_sources)
            .chain(sources)
            .collect(),
        cell_hashes: committed.cell_hashes,
        originals: originals(plan, before.map(|before| &before.originals)),
        renamed_sources: old.renamed_sources,
        uns_xxh3,
        uns_keys,
        column_notes: column_notes(plan, &old.column_notes),
        gene_key: if plan.inputs.is_empty() {
            old.gene_key
        } else {
            plan.is_joined().then(|| plan.gene_plan.key.clone())
        },
        learned_gene_ids: {
            let learned = plan.gene_plan.learned_ids.clone();
            old.learned_gene_ids.into_iter().chain(learned).collect()
        },
        gene_id_versions: if plan.inputs.is_empty() {
            old.gene_id_versions
        } else {
            plan.gene_plan.id_versions
        },
        jobs: old
            .jobs
            .into_iter()
            .chain([checkpoint.job.clone()])
            .collect(),
        others: old.others,
    }
}

/// Returns the files that the dataset was made from, as the reference describes them.
fn files(old: Option<MultiFile>, others: &[RecountedRange], plan: &Plan) -> MultiFile {
    let mut files = old.map_or_else(Vec::new, |old| old.source_files);
    // The reference does not list the files of datasets made from a single file.
    let listed = files.iter().map(|file| file.n_cells).sum::<u64>();
    let unlisted = others.iter().filter(|range| range.first_cell >= listed);
    files.extend(unlisted.map(|range| SourceFile {
        file_path: range.name.clone(),
        file_name: range.name.clone(),
        n_cells: range.cells,
        cell_offset: range.first_cell,
        others: Default::default(),
    }));
    files.extend(plan.inputs.iter().map(|input| SourceFile {
        file_path: input.path.display().to_string(),
        file_name: input.source_file.clone(),
        n_cells: input.cells.end - input.cells.start,
        cell_offset: input.cells.start,
        others: Default::default(),
    }));
    MultiFile {
        total_files: files.len() as u64,
        total_cells_from_files: files.iter().map(|file| file.n_cells).sum(),
        source_files: files,
    }
}

/// Describes a source of the dataset.
fn source_note(
    checkpoint: &Checkpoint,
    totals: &[Vec<Vec<MatrixRecord>>],
    number: usize,
    input: &PlannedInput,
) -> SourceNote {
    let plan = &checkpoint.plan;
    let mut note = SourceNote {
        job: Some(checkpoint.job.clone()),
        path: input.path.clone(),
        source_file: input.source_file.clone(),
        fingerprint: input.fingerprint.clone(),
        open: input.open.clone(),
        matrix: input.main.object.clone(),
        first_cell: input.cells.start,
        cells: input.cells.end - input.cells.start,
        gene_join: plan.is_joined().then(|| input.gene_join.clone()),
        entries: 0,
        rows: 0,
        canonicalized: Canonicalized::default(),
        digests: BTreeMap::new(),
        layers: Vec::new(),
        converted: input.converted.clone(),
        left_out: input.left_out.clone(),
        warnings: input.warnings.clone(),
        repeated_cells: input.repeated_cells.clone(),
        repeated_genes: input.repeated_genes.clone(),
        scale: None,
    };
    for (table, totals) in ShardTable::ALL.into_iter().zip(totals) {
        let matrices = totals[number].iter().zip(input.matrices(table));
        for (place, (total, matrix)) in matrices.enumerate() {
            if !matrix.is_readable() {
                continue;
            }
            if total.canonicalized.strays > 0 {
                note.left_out.push(Note::new(
                    &matrix.object,
                    format!(
                        "{} entries whose joinid obs or var does not have",
                        total.canonicalized.strays
                    ),
                ));
                note.warnings.push(format!(
                    "{} entries of {} have a joinid that obs or var does not have, and were left out, as \
                     axis_query does: a delete left them behind, or a part of obs or var is missing",
                    total.canonicalized.strays, matrix.object
                ));
            }
            note.digests.insert(matrix_key(&matrix.name), total.digest);
            if table == ShardTable::Expression {
                note.entries = total.entries;
                note.rows = total.stats.rows;
                note.canonicalized = total.canonicalized;
                note.scale = input.scale.map(|scale| total.rechecked(scale));
            } else {
                let planned = match table {
                    ShardTable::Layers => input.layer_scales.get(place),
                    _ => None,
                };
                note.layers.push(LayerNote {
                    key: matrix_key(&matrix.name),
                    object: matrix.object.clone(),
                    r#type: total.value_type.to_string(),
                    entries: total.entries,
                    rows: total.stats.rows,
                    canonicalized: total.canonicalized,
                    scale: planned.map(|scale| total.rechecked(*scale)),
                });
            }
        }
    }
    if let Some(scale) = &note.scale {
        let warning = not_counts(&note.matrix, scale, &note.warnings);
        note.warnings.extend(warning);
    }
    note
}

/// A list of columns with those of the plan, which it may lack: slafdb begins it with what it adds.
fn listed(known: Keys, columns: &[PlannedColumn]) -> Option<Keys> {
    let names = columns.iter().map(|column| (&column.written_as, None));
    keys(Some(known), names)
}

/// The names of a part and what readers of the reference need to know of them: all of them are as
/// they were converted, which means that those readers do not change them.
fn keys<'a>(
    old: Option<Keys>,
    names: impl Iterator<Item = (&'a String, Option<u64>)>,
) -> Option<Keys> {
    let mut keys = old.unwrap_or_default();
    for (name, dimension) in names {
        if !keys.available.contains(name) {
            keys.available.push(name.clone());
            keys.immutable.push(name.clone());
        }
        if let Some(dimension) = dimension {
            keys.dimensions.insert(name.clone(), dimension);
        }
    }
    Some(keys).filter(|keys| !keys.available.is_empty())
}

/// Records columns whose names differ from the input's, and the names of embedding components.
fn column_notes(plan: &Plan, old: &[ColumnNote]) -> Vec<ColumnNote> {
    // The plan does not include varp of an existing dataset.
    let kept = old.iter().filter(|note| note.part == Part::Varp);
    let mut notes: Vec<ColumnNote> = kept.cloned().collect();
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
