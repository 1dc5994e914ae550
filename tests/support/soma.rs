//! Summarises what a reader finds in an experiment, as counts and digests like those of
//! tests/python/soma_answers.py.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, UInt64Type};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use slaf::source::{
    self, Axis, CellSource, ChunkBudget, ColumnKind, MatrixName, OpenOptions, ScalarType,
    SourceError, TypedVec,
};

/// Returns the folder of an experiment that a fixture packs, unpacked once.
pub fn unpacked(archive: &Path) -> PathBuf {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    static UNPACKED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let target = FOLDER.path().join(archive.file_name().unwrap());
    let mut unpacked = UNPACKED.lock().unwrap_or_else(PoisonError::into_inner);
    if unpacked.insert(target.clone()) {
        unpack(archive, &target);
    }
    target
}

/// Unpacks an archive to a new folder.
pub fn unpack(archive: &Path, target: &Path) {
    std::fs::create_dir(target).unwrap();
    let mut tar = Command::new("tar");
    let status = tar.arg("xzf").arg(archive).arg("-C").arg(target).status();
    assert!(status.unwrap().success(), "{}", archive.display());
}

fn finish(hash: Sha256) -> String {
    let digest = hash.finalize();
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

fn names<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    values.for_each(|value| text(&mut hash, value));
    finish(hash)
}

/// Converts integers to i64, and floats to the bits of f64 with a single NaN.
fn wide(numbers: &TypedVec) -> Vec<i64> {
    match numbers {
        TypedVec::Float16(_) | TypedVec::Float32(_) | TypedVec::Float64(_) => {
            let canonical = |value: f64| {
                if value.is_nan() {
                    0x7ff8 << 48
                } else {
                    value.to_bits() as i64
                }
            };
            numbers
                .to_f64()
                .unwrap()
                .into_iter()
                .map(canonical)
                .collect()
        }
        TypedVec::UInt64(values) => values.iter().map(|&value| value as i64).collect(),
        other => other.to_i64().unwrap(),
    }
}

/// Returns the number of entries and the digest of a matrix.
fn matrix(source: &dyn CellSource, name: &MatrixName, rows: u64) -> Result<Value, SourceError> {
    let budget = ChunkBudget {
        bytes: 300_000,
        cells: 1000,
    };
    let mut hash = Sha256::new();
    let mut entries = 0u64;
    for chunk in source.matrix(name)?.chunks(0..rows, budget)? {
        let chunk = chunk?.read()?;
        let (columns, values) = (chunk.indices.to_i64().unwrap(), wide(&chunk.data));
        entries += values.len() as u64;
        for (row, ends) in chunk.rows.zip(chunk.indptr.windows(2)) {
            let mut row_entries: Vec<(i64, i64)> = (ends[0]..ends[1])
                .map(|entry| (columns[entry], values[entry]))
                .collect();
            row_entries.sort_unstable();
            for (column, value) in row_entries {
                hash.update(row.to_le_bytes());
                hash.update(column.to_le_bytes());
                hash.update(value.to_le_bytes());
            }
        }
    }
    let description = source.description();
    let all = [&description.layers, &description.obsp, &description.varp];
    let all = all.into_iter().flatten().chain([&description.x]);
    let mut number_type = all
        .filter(|matrix| matrix.name == *name)
        .map(|matrix| matrix.number_type);
    let number_type = number_type.next().unwrap();
    Ok(json!([number_type.to_string(), entries, finish(hash)]))
}

/// Returns the type and the digest of a column.
fn column(array: &ArrayRef, kind: &ColumnKind) -> (String, String) {
    let mut hash = Sha256::new();
    let valid = |row: usize| [u8::from(array.is_valid(row))];
    let name = match kind {
        ColumnKind::Text => {
            for (row, value) in array.as_string::<i32>().iter().enumerate() {
                hash.update(valid(row));
                text(&mut hash, value.unwrap_or(""));
            }
            "utf8".to_string()
        }
        ColumnKind::Categorical { ordered } => {
            let dictionary = array.as_dictionary::<Int32Type>();
            let categories: &StringArray = dictionary.values().as_string();
            hash.update(names(categories.iter().flatten()).as_bytes());
            for (row, key) in dictionary.keys().iter().enumerate() {
                hash.update(valid(row));
                text(
                    &mut hash,
                    key.map_or("", |key| categories.value(key as usize)),
                );
            }
            format!("categorical{}", if *ordered { " ordered" } else { "" })
        }
        ColumnKind::Number(ScalarType::Float16 | ScalarType::Float32 | ScalarType::Float64) => {
            let floats = cast(array, &DataType::Float64).unwrap();
            let floats = floats.as_primitive::<Float64Type>().values().to_vec();
            wide(&TypedVec::Float64(floats))
                .iter()
                .for_each(|value| hash.update(value.to_le_bytes()));
            array.data_type().to_string().to_lowercase()
        }
        ColumnKind::Number(number_type) | ColumnKind::Nullable(number_type) => {
            let whole = if *number_type == ScalarType::UInt64 {
                let whole = array.as_primitive::<UInt64Type>();
                whole
                    .values()
                    .iter()
                    .map(|&value| value as i64)
                    .collect::<Vec<_>>()
            } else {
                let whole = cast(array, &DataType::Int64).unwrap();
                whole.as_primitive::<Int64Type>().values().to_vec()
            };
            for (row, value) in whole.into_iter().enumerate() {
                hash.update(valid(row));
                hash.update(if array.is_valid(row) { value } else { 0 }.to_le_bytes());
            }
            match kind {
                ColumnKind::Nullable(_) => format!("nullable {number_type}"),
                _ => number_type.to_string(),
            }
        }
        ColumnKind::Time => {
            let times = cast(array, &DataType::Int64).unwrap();
            for (row, value) in times
                .as_primitive::<Int64Type>()
                .values()
                .iter()
                .enumerate()
            {
                hash.update(valid(row));
                hash.update(if array.is_valid(row) { *value } else { 0 }.to_le_bytes());
            }
            "time".to_string()
        }
    };
    (name, finish(hash))
}

fn walk(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update(b"n"),
        Value::Bool(true) => hash.update(b"t"),
        Value::Bool(false) => hash.update(b"f"),
        Value::Number(number) => {
            hash.update(b"#");
            hash.update(number.as_f64().unwrap().to_le_bytes());
        }
        Value::String(value) => {
            hash.update(b"\"");
            text(hash, value);
        }
        Value::Array(items) => {
            hash.update(b"[");
            hash.update((items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| walk(hash, item));
        }
        Value::Object(map) => {
            hash.update(b"{");
            hash.update((map.len() as u64).to_le_bytes());
            for (key, value) in map.iter().collect::<BTreeMap<_, _>>() {
                text(hash, key);
                walk(hash, value);
            }
        }
    }
}

/// Returns what the reader finds in an experiment, in the form of the stored results.
pub fn found(path: &Path, options: &OpenOptions) -> Result<Value, SourceError> {
    let source = source::open(path, options)?;
    let source = &*source;
    let description = source.description();
    let frame = |ids: StringArray, batch: arrow::array::RecordBatch, columns: &[source::Column]| {
        let columns: Vec<Value> = columns
            .iter()
            .zip(batch.columns())
            .map(|(described, array)| {
                let (kind, digest) = column(array, &described.kind);
                json!([described.name, kind, digest])
            })
            .collect();
        json!({"rows": ids.len(), "ids": names(ids.iter().flatten()), "columns": columns})
    };
    let (cells, genes) = (description.n_obs, description.n_vars);
    let obs = frame(
        source.obs_names(0..cells)?,
        source.obs(0..cells)?,
        &description.obs,
    );
    let var = frame(
        source.var_names(0..genes)?,
        source.var(0..genes)?,
        &description.var,
    );
    let mut matrices = BTreeMap::new();
    for main in [&description.x].into_iter().chain(&description.layers) {
        if main.layout != source::Layout::Absent {
            matrices.insert(main.object.clone(), matrix(source, &main.name, cells)?);
        }
    }
    for (pairs, side) in [(&description.obsp, cells), (&description.varp, genes)] {
        for pair in pairs {
            matrices.insert(pair.object.clone(), matrix(source, &pair.name, side)?);
        }
    }
    let mut embeddings = BTreeMap::new();
    for (axis, part, list, rows) in [
        (Axis::Cells, "obsm", &description.obsm, cells),
        (Axis::Genes, "varm", &description.varm, genes),
    ] {
        for embedding in list {
            let mut hash = Sha256::new();
            for start in (0..rows).step_by(700) {
                let block =
                    source.embedding(axis, &embedding.name, start..(start + 700).min(rows))?;
                wide(&block)
                    .iter()
                    .for_each(|value| hash.update(value.to_le_bytes()));
            }
            embeddings.insert(
                format!("{part}/{}", embedding.name),
                json!([embedding.width, finish(hash)]),
            );
        }
    }
    let mut hash = Sha256::new();
    walk(&mut hash, &Value::Object(source.uns()?.values));
    Ok(json!({
        "obs": obs, "var": var, "matrices": matrices, "embeddings": embeddings, "uns": finish(hash),
    }))
}
