//! Promise: every reader returns what is in the file, in every way of reading it.
//!
//! A new reader adds an entry to [`readers`] and runs through the same suite.

use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use slaf::chunk::{CooBatch, CooSpec, IdHash};
use slaf::plan::IdType;
use slaf::source::{
    self, Axis, CellSource, ChunkBudget, ColumnKind, CsrChunk, Format, Layout, MatrixDescription,
    MatrixName, OpenOptions, Reindex, SourceError,
};
use slaf::survey::{Survey, ValueType};

use crate::support::converted::converted;
use crate::support::dataset::{Triplets, floats, integers, same, texts};
use crate::support::expectation::{
    ColumnExpectation, Expectation, Options, category_text, entries, number,
};
use crate::support::memory_source::in_memory;
use crate::support::soma::unpacked;
use crate::support::{described_fixtures, fixtures, repository};

type Open = fn(&Path, &Options) -> Result<Box<dyn CellSource>, SourceError>;

/// A reader and the fixtures of its format.
struct Reader {
    name: &'static str,
    open: Open,
    fixtures: Vec<PathBuf>,
}

fn readers() -> Vec<Reader> {
    vec![
        Reader {
            name: "h5ad",
            open: |path, _| {
                let options = OpenOptions {
                    format: Some(Format::named("h5ad")),
                    ..OpenOptions::default()
                };
                source::open(path, &options)
            },
            fixtures: fixtures("fixtures/h5ad", "h5ad"),
        },
        Reader {
            name: "10x H5",
            open: |path, options| source::open(path, &options.of(Format::named("10x-h5"))),
            fixtures: fixtures("fixtures/10x_h5", "h5"),
        },
        Reader {
            name: "10x MTX",
            open: |path, options| source::open(path, &options.of(Format::named("10x-mtx"))),
            fixtures: described_fixtures("fixtures/10x_mtx"),
        },
        Reader {
            name: "soma",
            open: |archive, options| {
                source::open(&unpacked(archive), &options.of(Format::named("soma")))
            },
            fixtures: fixtures("fixtures/soma", "gz"),
        },
        Reader {
            name: "memory",
            open: |path, options| {
                let source = source::open(path, &options.of(Format::named("h5ad")))?;
                Ok(Box::new(in_memory(&*source)))
            },
            fixtures: fixtures("fixtures/h5ad", "h5ad"),
        },
        Reader {
            name: "slaf",
            open: |fixture, options| {
                let dataset = converted(fixture, options).unwrap();
                source::open(&dataset, &OpenOptions::default())
            },
            fixtures: datasets(),
        },
    ]
}

/// Fixtures that are tested as datasets: those that differ in content, not just in how it is
/// stored.
fn datasets() -> Vec<PathBuf> {
    let stored = [
        "csr_",
        "csc_",
        "dense_",
        "compound",
        "attributes",
        "latest",
        "v110",
        "x_",
    ];
    let held = [
        "all_zero",
        "empty",
        "no_",
        "one_",
        "duplicates",
        "zeros",
        "nan",
        "x_halves",
        "70000",
    ];
    let mut all = fixtures("fixtures/h5ad", "h5ad");
    all.retain(|fixture| {
        let name = fixture.file_stem().unwrap().to_string_lossy().into_owned();
        let is = |part: &&str| name.contains(*part);
        !stored.iter().any(|start| name.starts_with(start)) || held.iter().any(is)
    });
    all.extend([
        repository("fixtures/soma/everything.tar.gz"),
        repository("fixtures/10x_h5/v3_types.h5"),
    ]);
    // Some contents cannot be represented in a dataset.
    all.retain(|fixture| converted(fixture, &Expectation::beside(fixture).options).is_ok());
    assert!(all.len() > 50, "{}", all.len());
    all
}

/// Runs a check on every fixture of every reader and names those that fail.
fn on_every_fixture(check: impl Fn(&dyn CellSource, &Expectation)) {
    for reader in readers() {
        for fixture in &reader.fixtures {
            let name = fixture.file_stem().unwrap().to_string_lossy();
            println!("{} {name}", reader.name);
            let mut expected = Expectation::beside(fixture);
            match reader.name {
                "slaf" => expected = expected.of_dataset(),
                "memory" => expected.left_out.clear(),
                _ => {}
            }
            let source = (reader.open)(fixture, &expected.options)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            check(&*source, &expected);
        }
    }
}

const EVERYTHING: ChunkBudget = ChunkBudget {
    bytes: u64::MAX,
    cells: u64::MAX,
};

fn gene_hashes(source: &dyn CellSource) -> Vec<IdHash> {
    IdHash::of_all(&source.var_names(0..source.description().n_vars).unwrap())
}

fn cell_hashes(source: &dyn CellSource, chunk: &CsrChunk) -> Vec<IdHash> {
    IdHash::of_all(&source.obs_names(chunk.rows.clone()).unwrap())
}

/// Reads a range of cells as rows with float64 values, which hold the values of all fixtures.
fn read(source: &dyn CellSource, cells: Range<u64>, budget: ChunkBudget) -> Triplets {
    let description = source.description();
    read_matrix(source, &description.x, description.n_vars, cells, budget)
}

/// Reads rows of any matrix with this many columns.
fn read_matrix(
    source: &dyn CellSource,
    matrix: &MatrixDescription,
    columns: u64,
    cells: Range<u64>,
    budget: ChunkBudget,
) -> Triplets {
    let description = source.description();
    // Digests are tested elsewhere.
    let hashes = vec![IdHash::of(""); columns as usize];
    let spec = CooSpec {
        gene_hashes: (&hashes).into(),
        identities: None,
        path: description.path.clone(),
        matrix: matrix.object.clone(),
        first_cell: 0,
        genes: columns,
        columns: &Reindex::Identity,
        dataset_genes: columns,
        cell_type: IdType::UInt32,
        gene_type: IdType::UInt32,
        value_type: ValueType::Float64,
    };
    let mut next = cells.start;
    let mut rows = Vec::new();
    for chunk in source
        .matrix(&matrix.name)
        .unwrap()
        .chunks(cells.clone(), budget)
        .unwrap()
    {
        let chunk = chunk.unwrap();
        assert_eq!(chunk.rows.start, next, "chunks follow each other");
        assert!(chunk.rows.end > next && chunk.rows.end - next <= budget.cells);
        next = chunk.rows.end;
        let range = chunk.rows.clone();
        let chunk = chunk.read().unwrap();
        assert_eq!(chunk.rows, range);
        assert_eq!(chunk.indptr.len() as u64, range.end - range.start + 1);
        let row_hashes = vec![IdHash::of(""); chunk.indptr.len() - 1];
        let batch = CooBatch::new(&chunk, &row_hashes, &spec).unwrap();
        let columns = [&batch.cell_ids, &batch.gene_ids].map(integers);
        let values = floats(&batch.values);
        rows.extend(
            (0..batch.rows()).map(|i| (columns[0][i] as u64, columns[1][i] as u64, values[i])),
        );
    }
    assert_eq!(next, cells.end, "chunks end where the range does");
    rows
}

#[test]
fn headers_are_what_anndata_says() {
    on_every_fixture(|source, expected| {
        let description = source.description();
        assert_eq!([description.n_obs, description.n_vars], expected.shape);
        let matrix = &description.x;
        let layout = match expected.x.layout.as_str() {
            "csr" => Layout::Csr,
            "csc" => Layout::Csc,
            "coo" => Layout::Coo,
            "dense" => Layout::Dense,
            _ => Layout::Absent,
        };
        assert_eq!(matrix.layout, layout);
        if let Some(dtype) = &expected.x.dtype {
            assert_eq!(matrix.number_type.to_string(), *dtype);
        }
        match (layout, matrix.entries) {
            // The number of entries that count, of those written repeatedly, is only known after
            // reading.
            (Layout::Coo, None) => {
                assert!(
                    source.matrix(&matrix.name).unwrap().entries_at_most() >= Some(expected.stored)
                );
            }
            (Layout::Csr | Layout::Csc | Layout::Coo, entries) => {
                let wanted = expected.x.entries.unwrap_or(expected.stored);
                assert_eq!(entries, Some(wanted));
            }
            _ => {}
        }
        let left_out: Vec<String> = description
            .left_out
            .iter()
            .map(|left_out| left_out.object.clone())
            .collect();
        for object in &expected.left_out {
            let named = left_out.iter().any(|found| {
                found == object
                    || found.starts_with(&format!("{object}/"))
                    || found.starts_with("raw.")
            });
            assert!(named, "{object} is not named in {left_out:?}");
        }
    });
}

#[test]
fn identifiers_in_any_range() {
    on_every_fixture(|source, expected| {
        let cells = expected.cells();
        let genes = expected.genes();
        type Ids<'a> = &'a dyn Fn(Range<u64>) -> Result<arrow::array::StringArray, SourceError>;
        let lists: [(Ids<'_>, &[String]); 2] = [
            (&|range| source.obs_names(range), &cells),
            (&|range| source.var_names(range), &genes),
        ];
        for (ids, names) in lists {
            let count = names.len() as u64;
            for range in [
                0..count,
                0..0,
                count..count,
                0..count.min(1),
                count / 2..count,
            ] {
                let wanted = &names[range.start as usize..range.end as usize];
                let found = ids(range).unwrap();
                assert_eq!(found.iter().map(Option::unwrap).collect::<Vec<_>>(), wanted);
            }
        }
    });
}

#[test]
fn the_same_rows_for_any_budget() {
    on_every_fixture(|source, expected| {
        let wanted = expected.triplets();
        let all = 0..expected.shape[0];
        for bytes in [1, 100, 1000, 1 << 20, u64::MAX] {
            for cells in [1, 3, u64::MAX] {
                let rows = read(source, all.clone(), ChunkBudget { bytes, cells });
                assert!(
                    same(&rows, &wanted),
                    "{bytes} bytes, {cells} cells: {rows:?}, not {wanted:?}"
                );
            }
        }
    });
}

#[test]
fn the_same_rows_for_any_range() {
    on_every_fixture(|source, expected| {
        let wanted = expected.triplets();
        let count = expected.shape[0];
        for range in [
            0..0,
            0..count / 2,
            count / 2..count,
            count / 3..count - count / 3,
            count..count,
        ] {
            let rows = read(source, range.clone(), EVERYTHING);
            let wanted: Triplets = wanted
                .iter()
                .filter(|row| range.contains(&row.0))
                .copied()
                .collect();
            assert!(same(&rows, &wanted), "cells {range:?}");
        }
    });
}

#[test]
fn offsets_count_what_chunks_store() {
    on_every_fixture(|source, expected| {
        let count = expected.shape[0];
        let Some(offsets) = source
            .matrix(&MatrixName::X)
            .unwrap()
            .offsets(0..count)
            .unwrap()
        else {
            let layout = source.description().x.layout;
            // The number of entries of a matrix whose features are filtered is only known after
            // reading.
            let dropped = expected.x.entries.is_some();
            assert!(matches!(layout, Layout::Dense | Layout::Csc | Layout::Coo) || dropped);
            return;
        };
        assert_eq!((offsets[0], offsets[count as usize]), (0, expected.stored));
        for chunk in source
            .matrix(&MatrixName::X)
            .unwrap()
            .chunks(0..count, ChunkBudget { bytes: 1, cells: 2 })
            .unwrap()
        {
            let chunk = chunk.unwrap();
            let cells = chunk.rows.clone();
            let stored = offsets[cells.end as usize] - offsets[cells.start as usize];
            assert_eq!(chunk.entries, stored);
            assert_eq!(chunk.read().unwrap().data.len() as u64, stored);
        }
    });
}

/// The same matrix by another route: sprs sorts and checks what the reader yields.
#[test]
fn layers_and_pairs_are_what_anndata_says() {
    on_every_fixture(|source, expected| {
        let description = source.description();
        let [cells, genes] = expected.shape;
        for (matrices, wanted, side) in [
            (&description.layers, &expected.layers, [cells, genes]),
            (&description.obsp, &expected.obsp, [cells, cells]),
            (&description.varp, &expected.varp, [genes, genes]),
        ] {
            let names: Vec<&str> = matrices.iter().map(|matrix| matrix.name.key()).collect();
            assert_eq!(names, wanted.keys().map(String::as_str).collect::<Vec<_>>());
            for matrix in matrices {
                source
                    .matrix(&matrix.name)
                    .unwrap()
                    .prepare(&|_| ())
                    .unwrap();
                let wanted = entries(&wanted[matrix.name.key()]);
                for (bytes, most) in [(u64::MAX, u64::MAX), (1, 1), (100, 3)] {
                    let budget = ChunkBudget { bytes, cells: most };
                    let found = read_matrix(source, matrix, side[1], 0..side[0], budget);
                    assert!(
                        same(&found, &wanted),
                        "{}: {found:?} is not {wanted:?}",
                        matrix.object
                    );
                }
                let half = side[0] / 2;
                let found = read_matrix(source, matrix, side[1], half..side[0], EVERYTHING);
                let wanted: Triplets = wanted.into_iter().filter(|row| row.0 >= half).collect();
                assert!(same(&found, &wanted), "{} from row {half}", matrix.object);
            }
        }
    });
}

#[test]
fn embeddings_are_what_anndata_says() {
    on_every_fixture(|source, expected| {
        let description = source.description();
        for (axis, embeddings, wanted, rows) in [
            (
                Axis::Cells,
                &description.obsm,
                &expected.obsm,
                expected.shape[0],
            ),
            (
                Axis::Genes,
                &description.varm,
                &expected.varm,
                expected.shape[1],
            ),
        ] {
            let names: Vec<&String> = embeddings.iter().map(|embedding| &embedding.name).collect();
            assert_eq!(names, wanted.keys().collect::<Vec<_>>());
            for embedding in embeddings {
                let wanted = &wanted[&embedding.name];
                let whole = source.embedding(axis, &embedding.name, 0..rows).unwrap();
                let parts = (0..rows).map(|row| {
                    let part = source.embedding(axis, &embedding.name, row..row + 1);
                    part.unwrap().to_f64().unwrap()
                });
                let whole = whole.to_f64().unwrap();
                assert_eq!(whole.len() as u64, rows * embedding.width);
                let parts: Vec<f64> = parts.flatten().collect();
                let wanted: Vec<f64> = wanted.iter().flatten().map(number).collect();
                let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                let nan = |values: &[f64]| -> Vec<f64> {
                    let values = values.iter();
                    values
                        .map(|v| if v.is_nan() { f64::NAN } else { *v })
                        .collect()
                };
                assert_eq!(
                    bits(&nan(&whole)),
                    bits(&nan(&wanted)),
                    "{}",
                    embedding.name
                );
                assert_eq!(bits(&parts), bits(&whole), "{} row by row", embedding.name);
            }
        }
    });
}

#[test]
fn chunks_are_matrices() {
    on_every_fixture(|source, expected| {
        if expected.duplicates > 0 {
            return;
        }
        let [cells, genes] = expected.shape;
        for chunk in source
            .matrix(&MatrixName::X)
            .unwrap()
            .chunks(0..cells, EVERYTHING)
            .unwrap()
        {
            let chunk = chunk.unwrap().read().unwrap();
            let matrix = chunk.to_csr(genes as usize).unwrap();
            let mut rows = Triplets::new();
            for (cell, row) in (chunk.rows.start..).zip(matrix.outer_iterator()) {
                let entries = row.iter().filter(|(_, value)| **value != 0.0);
                rows.extend(entries.map(|(gene, &value)| (cell, gene as u64, value)));
            }
            let wanted: Triplets = expected
                .triplets()
                .into_iter()
                .filter(|row| chunk.rows.contains(&row.0))
                .collect();
            assert!(same(&rows, &wanted), "cells {:?}", chunk.rows);
        }
    });
}

#[test]
fn canonicalizing_counts_what_it_drops() {
    on_every_fixture(|source, expected| {
        let Some(zeros) = expected.explicit_zeros else {
            return;
        };
        let description = source.description();
        let gene_hashes = gene_hashes(source);
        let spec = CooSpec {
            gene_hashes: (&gene_hashes).into(),
            identities: None,
            path: description.path.clone(),
            matrix: "X".into(),
            first_cell: 0,
            genes: description.n_vars,
            columns: &Reindex::Identity,
            dataset_genes: description.n_vars,
            cell_type: IdType::Int32,
            gene_type: IdType::Int32,
            value_type: ValueType::Float64,
        };
        let (mut rows, mut dropped, mut merged) = (0, 0, 0);
        for chunk in source
            .matrix(&MatrixName::X)
            .unwrap()
            .chunks(0..expected.shape[0], EVERYTHING)
            .unwrap()
        {
            let chunk = chunk.unwrap().read().unwrap();
            let batch = CooBatch::new(&chunk, &cell_hashes(source, &chunk), &spec).unwrap();
            rows += batch.rows() as u64;
            dropped += batch.canonicalized.zeros;
            merged += batch.canonicalized.merged;
        }
        assert_eq!(merged, expected.duplicates);
        assert_eq!(rows + dropped + merged, expected.stored);
        if expected.duplicates == 0 {
            assert_eq!(dropped, zeros);
        }
    });
}

#[test]
fn columns_keep_their_meaning() {
    on_every_fixture(|source, expected| {
        let description = source.description();
        let frames = [
            (
                source.obs(0..expected.shape[0]).unwrap(),
                &description.obs,
                &expected.obs,
            ),
            (
                source.var(0..expected.shape[1]).unwrap(),
                &description.var,
                &expected.var,
            ),
        ];
        for (batch, columns, wanted) in frames {
            assert_eq!(batch.num_columns(), wanted.len());
            for ((array, column), wanted) in batch.columns().iter().zip(columns).zip(wanted) {
                assert_eq!(column.name, wanted.name);
                check_column(array, &column.kind, wanted);
            }
        }
        // A part of a frame equals the part of the whole.
        let half = expected.shape[0] / 2;
        let part = source.obs(half..expected.shape[0]).unwrap();
        let whole = source.obs(0..expected.shape[0]).unwrap();
        assert_eq!(
            part,
            whole.slice(half as usize, (expected.shape[0] - half) as usize)
        );
    });
}

fn check_column(array: &ArrayRef, kind: &ColumnKind, wanted: &ColumnExpectation) {
    let name = &wanted.name;
    let nulls: Vec<bool> = wanted.values.iter().map(|value| value.is_null()).collect();
    let found: Vec<bool> = (0..array.len()).map(|row| array.is_null(row)).collect();
    // A float NaN is not a missing value; expectations distinguish them.
    assert_eq!(found, nulls, "missing values of {name}");
    match kind {
        ColumnKind::Time => {
            assert_eq!(wanted.r#type, "time", "{name}");
            for (row, value) in wanted.values.iter().enumerate() {
                let found = cast(&array.slice(row, 1), &DataType::Int64).unwrap();
                let found = (!found.is_null(0)).then(|| integers(&found)[0]);
                assert_eq!(found, value.as_i64(), "{name} row {row}");
            }
        }
        ColumnKind::Text => {
            assert_eq!(wanted.r#type, "utf8", "{name}");
            let values: Vec<Option<String>> = wanted
                .values
                .iter()
                .map(|value| value.as_str().map(str::to_string))
                .collect();
            assert_eq!(texts(array), values, "{name}");
        }
        ColumnKind::Categorical { ordered } => {
            assert_eq!(
                (wanted.r#type.as_str(), wanted.ordered),
                ("categorical", *ordered),
                "{name}"
            );
            let categories = array.as_dictionary::<Int32Type>().values();
            let wanted_categories: Vec<Option<String>> = wanted
                .categories
                .iter()
                .map(|value| Some(category_text(value)))
                .collect();
            assert_eq!(texts(categories), wanted_categories, "{name}");
            let values: Vec<Option<String>> = wanted
                .values
                .iter()
                .map(|value| (!value.is_null()).then(|| category_text(value)))
                .collect();
            assert_eq!(
                texts(&cast(array, &DataType::Utf8).unwrap()),
                values,
                "{name}"
            );
        }
        ColumnKind::Number(number_type) | ColumnKind::Nullable(number_type) => {
            assert_eq!(wanted.r#type, number_type.to_string(), "{name}");
            for (row, value) in wanted
                .values
                .iter()
                .enumerate()
                .filter(|(_, value)| !value.is_null())
            {
                let one = array.slice(row, 1);
                match value.as_i64() {
                    // Large integers cannot be represented as floats.
                    Some(value) => assert_eq!(integers(&one)[0], value, "{name} row {row}"),
                    None if value.is_u64() => {
                        let found = cast(&one, &DataType::UInt64).unwrap();
                        let found = found
                            .as_primitive::<arrow::datatypes::UInt64Type>()
                            .value(0);
                        assert_eq!(Some(found), value.as_u64(), "{name} row {row}");
                    }
                    None => {
                        let (found, wanted) = (floats(&one)[0], number(value));
                        assert!(
                            found == wanted || (found.is_nan() && wanted.is_nan()),
                            "{name} row {row}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_survey_never_fails_where_reading_works() {
    on_every_fixture(|source, expected| {
        let survey = Survey::of(source).unwrap();
        assert_eq!(
            [survey.fingerprint.cells, survey.fingerprint.genes],
            expected.shape
        );
        let distinct = |mut names: Vec<String>| {
            let all = names.len();
            names.sort();
            names.dedup();
            (all - names.len()) as u64
        };
        assert_eq!(survey.repeated_cells.count, distinct(expected.cells()));
        assert_eq!(survey.repeated_genes.count, distinct(expected.genes()));
    });
}

/// Reads everything a reader yields, or returns its error.
fn read_all(open: Open, path: &Path, options: &Options) -> Result<Triplets, String> {
    let source = open(path, options).map_err(|error| error.to_string())?;
    let text = |error: SourceError| error.to_string();
    Survey::of(&*source).map_err(text)?;
    let description = source.description();
    let cells = description.n_obs;
    let gene_hashes = gene_hashes(&*source);
    let spec = CooSpec {
        gene_hashes: (&gene_hashes).into(),
        identities: None,
        path: path.into(),
        matrix: "X".into(),
        first_cell: 0,
        genes: description.n_vars,
        columns: &Reindex::Identity,
        dataset_genes: description.n_vars,
        cell_type: IdType::UInt32,
        gene_type: IdType::UInt32,
        value_type: ValueType::Float64,
    };
    let mut rows = Vec::new();
    let matrix = source.matrix(&MatrixName::X).map_err(text)?;
    for chunk in matrix.chunks(0..cells, EVERYTHING).map_err(text)? {
        let chunk = chunk.map_err(text)?.read().map_err(text)?;
        let batch = CooBatch::new(&chunk, &cell_hashes(&*source, &chunk), &spec)
            .map_err(|error| error.to_string())?;
        let (cells, genes) = (integers(&batch.cell_ids), integers(&batch.gene_ids));
        let values = floats(&batch.values);
        rows.extend((0..batch.rows()).map(|i| (cells[i] as u64, genes[i] as u64, values[i])));
    }
    Ok(rows)
}

#[test]
fn a_file_cut_short_is_an_error_or_whole() {
    let folder = tempfile::tempdir().unwrap();
    // SOMA fixtures are archives of many files and datasets are folders; see soma.rs and
    // slaf_input.rs.
    let of_one_file = |reader: &Reader| !["soma", "memory", "slaf"].contains(&reader.name);
    for reader in readers().into_iter().filter(of_one_file) {
        for fixture in &reader.fixtures {
            let expected = Expectation::beside(fixture);
            let wanted = expected.triplets();
            let copy = folder.path().join(fixture.file_name().unwrap());
            for (path, bytes) in copied(fixture, &copy) {
                for part in 0..8 {
                    std::fs::write(&path, &bytes[..bytes.len() * part / 8]).unwrap();
                    if let Ok(rows) = read_all(reader.open, &copy, &expected.options) {
                        assert!(same(&rows, &wanted), "{} cut to {part}/8", path.display());
                    }
                }
                std::fs::write(&path, bytes).unwrap();
            }
        }
    }
}

/// Copies a fixture, which may be a folder; returns the copied files and their contents.
fn copied(fixture: &Path, copy: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = vec![(fixture.to_path_buf(), copy.to_path_buf())];
    if fixture.is_dir() {
        std::fs::create_dir(copy).unwrap();
        let names = std::fs::read_dir(fixture).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name());
        files = names
            .map(|name| (fixture.join(&name), copy.join(name)))
            .collect();
    }
    let copies = files.into_iter().map(|(from, to)| {
        let bytes = std::fs::read(from).unwrap();
        std::fs::write(&to, &bytes).unwrap();
        (to, bytes)
    });
    copies.collect()
}
