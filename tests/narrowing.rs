//! Promise: values are never changed, and their type is never wider than necessary.

use std::sync::Arc;

use proptest::prelude::*;
use slaf::ingest::{IngestError, Job, Outcome, OverwritePolicy, ResumePolicy, RunOptions};
use slaf::plan::{Dtypes, Plan, PlanOptions};
use slaf::source::{CellSource, Inputs, TypedVec};
use slaf::survey::{Survey, ValueType};
use slaf::table::TableName;

use crate::support::dataset::{
    Contents, Triplets, assert_no_orphans, fragments, integers, same, table, triplets,
};
use crate::support::memory_source::MemorySource;

fn run_options(threads: usize, chunk_cells: u64) -> RunOptions {
    RunOptions {
        threads,
        memory: 256 << 20,
        chunk_cells,
        existing: OverwritePolicy::Refuse,
        earlier: ResumePolicy::Resume,
        wait: slaf::store::LockPolicy::No,
    }
}

fn plan_options(dtypes: Dtypes, fragment_rows: u64) -> PlanOptions {
    PlanOptions {
        dtypes,
        fragment_rows,
        ..PlanOptions::default()
    }
}

/// Converts a source to `output` and returns the summary.
fn convert(
    source: MemorySource,
    output: &std::path::Path,
    plan: &PlanOptions,
    run: RunOptions,
) -> Result<Outcome, IngestError> {
    let inputs = Inputs::of_open([Arc::new(source) as Arc<dyn CellSource>]);
    let surveys = Survey::of_all(&inputs, 1)?;
    let plan = Plan::new(&inputs, &surveys, plan)?;
    let finished = Job::begin(plan, output, run)?.run(&inputs, &())?;
    let outcome = finished.outcome().clone();
    finished.close()?;
    Ok(outcome)
}

/// A sparse matrix in some stored type, with the rows it represents.
fn matrices() -> impl Strategy<Value = (u64, Vec<Vec<i32>>, TypedVec)> {
    let genes = 1..40u64;
    genes.prop_flat_map(|genes| {
        let row = prop::collection::btree_set(0..genes as i32, 0..genes as usize);
        let rows = prop::collection::vec(
            row.prop_map(|row| row.into_iter().collect::<Vec<_>>()),
            0..30,
        );
        rows.prop_flat_map(move |rows| {
            let count = rows.iter().map(Vec::len).sum::<usize>();
            (Just(genes), Just(rows), values(count))
        })
    })
}

fn values(count: usize) -> impl Strategy<Value = TypedVec> {
    // Mostly small counts, occasionally something wide.
    let count_like = prop_oneof![20 => 1..300i64, 1 => 60_000..70_000i64, 1 => Just((1 << 24) + 1), 1 => -5..0i64];
    let integers = prop::collection::vec(count_like, count);
    let real = prop_oneof![20 => (1..300i32).prop_map(f64::from), 1 => Just(0.5), 1 => Just(0.1), 1 => Just(f64::NAN), 1 => Just(1e300)];
    let reals = prop::collection::vec(real, count);
    prop_oneof![
        integers.clone().prop_map(TypedVec::Int64),
        integers
            .clone()
            .prop_map(|v| TypedVec::Int32(v.into_iter().map(|x| x as i32).collect())),
        integers.prop_map(|v| TypedVec::UInt8(
            v.into_iter()
                .map(|x| (x.unsigned_abs() % 255 + 1) as u8)
                .collect()
        )),
        reals.clone().prop_map(TypedVec::Float64),
        reals.prop_map(|v| TypedVec::Float32(v.into_iter().map(|x| x as f32).collect())),
    ]
}

fn expected(rows: &[Vec<i32>], values: &TypedVec) -> Triplets {
    let values: Vec<f64> = match values {
        TypedVec::Int64(v) => v.iter().map(|&x| x as f64).collect(),
        TypedVec::Int32(v) => v.iter().map(|&x| f64::from(x)).collect(),
        TypedVec::UInt8(v) => v.iter().map(|&x| f64::from(x)).collect(),
        TypedVec::Float64(v) => v.clone(),
        TypedVec::Float32(v) => v.iter().map(|&x| f64::from(x)).collect(),
        other => unreachable!("{other:?}"),
    };
    let mut values = values.into_iter();
    let mut triplets = Vec::new();
    for (cell, row) in (0..).zip(rows) {
        for &gene in row {
            triplets.push((cell, gene as u64, values.next().unwrap()));
        }
    }
    triplets
}

/// Returns the narrowest type of a list that holds all values, by a straightforward implementation.
fn narrowest(dtypes: Dtypes, rows: &Triplets) -> ValueType {
    let fits = |value: f64, value_type: ValueType| match value_type {
        ValueType::UInt16 => value.fract() == 0.0 && (0.0..=65535.0).contains(&value),
        ValueType::UInt32 => value.fract() == 0.0 && (0.0..=4294967295.0).contains(&value),
        ValueType::Int32 => value.fract() == 0.0 && (-2147483648.0..=2147483647.0).contains(&value),
        ValueType::Float32 => value.is_nan() || f64::from(value as f32) == value,
        ValueType::Float64 => true,
    };
    let candidates = dtypes.value_types();
    let all = |value_type: ValueType| rows.iter().all(|row| fits(row.2, value_type));
    *candidates
        .iter()
        .find(|&&value_type| all(value_type))
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// For any matrix, type, sample, fragment size, chunk size and number of threads: the same
    /// rows, in the narrowest type, in fragments within their limit.
    #[test]
    fn every_value_survives_in_the_narrowest_type(
        (genes, rows, values) in matrices(),
        signed: bool,
        sampled in 0usize..20,
        fragment_rows in prop_oneof![1..20u64, Just(1_000_000)],
        chunk_cells in 1..10u64,
        threads in 1usize..4,
    ) {
        let wanted = expected(&rows, &values);
        let dtypes = if signed { Dtypes::Signed } else { Dtypes::Narrow };
        let source = MemorySource::new(genes, &rows, values, sampled);
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.slaf");
        let plan = plan_options(dtypes, fragment_rows);
        let outcome = convert(source, &output, &plan, run_options(threads, chunk_cells)).unwrap();
        prop_assert!(same(&triplets(&output), &wanted));
        let found = outcome.dataset.value.as_ref().unwrap().r#type.clone();
        prop_assert_eq!(found, narrowest(dtypes, &wanted).to_string());
        let cells = table(&output, TableName::Cells);
        let starts = integers(cells.column_by_name("cell_start_index").unwrap());
        for (cell, start) in (0u64..).zip(starts) {
            prop_assert_eq!(start as usize, wanted.iter().filter(|row| row.0 < cell).count());
        }
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        for rows in fragments(&output, TableName::Expression) {
            prop_assert!(rows as u64 <= fragment_rows || rows <= longest);
        }
        assert_no_orphans(&output);
    }
}

/// 5,000 cells of ten small counts, and one wide value that no sample includes.
fn with_a_late_value(value: f32) -> MemorySource {
    let rows: Vec<Vec<i32>> = (0..5000).map(|_| (0..10).collect()).collect();
    let mut values = vec![1.0f32; 50_000];
    values[43_210] = value;
    MemorySource::new(10, &rows, TypedVec::Float32(values), 100)
}

#[test]
fn a_late_value_widens_the_plan_and_nothing_is_lost() {
    for (value, value_type) in [(70_000.0, "uint32"), (0.5, "float32"), (-3.0, "float32")] {
        let source = with_a_late_value(value);
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.slaf");
        let plan = plan_options(Dtypes::Narrow, 7_000);
        let outcome = convert(source, &output, &plan, run_options(2, 500)).unwrap();
        let note = outcome.dataset.value.as_ref().unwrap();
        assert_eq!(note.r#type, value_type);
        assert!(note.reason.contains("cell 4321, gene 0"), "{}", note.reason);
        assert_eq!(outcome.widened.len(), 1);
        let rows = triplets(&output);
        assert_eq!(rows.len(), 50_000);
        assert_eq!(rows[43_210], (4321, 0, f64::from(value)));
        assert_no_orphans(&output);
    }
}

#[test]
fn a_forced_type_that_does_not_hold_a_late_value_is_a_refusal() {
    let source = with_a_late_value(70_000.0);
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let plan = PlanOptions {
        value_type: Some(ValueType::UInt16),
        ..plan_options(Dtypes::Narrow, 1_000_000)
    };
    let error = convert(source, &output, &plan, run_options(2, 500)).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("70000") && message.contains("value-type"),
        "{message}"
    );
    assert!(!output.exists(), "nothing was worth keeping");
}

#[test]
fn threads_and_chunks_do_not_change_the_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let source = with_a_late_value(0.1);
    let mut contents = Vec::new();
    for (number, (threads, cells)) in [(1, 1), (2, 37), (4, u64::MAX)].into_iter().enumerate() {
        let output = folder.path().join(format!("{number}.slaf"));
        let outcome = convert(
            source.clone(),
            &output,
            &plan_options(Dtypes::Signed, 9_999),
            run_options(threads, cells),
        );
        let _ = outcome.unwrap();
        contents.push(Contents::of(&output));
    }
    assert_eq!(contents[0], contents[1]);
    assert_eq!(contents[0], contents[2]);
}

/// Runs of cells and bit-packed genes and values, whatever future versions of Lance choose by
/// default.
#[test]
fn a_row_takes_few_bytes() {
    let rows: Vec<Vec<i32>> = (0..100).map(|cell| (cell..cell + 1000).collect()).collect();
    let values = (0..100_000u64).map(|row| (row * 7919 % 5 + 1) as f32);
    let source = MemorySource::new(1100, &rows, TypedVec::Float32(values.collect()), 100);
    let folder = tempfile::tempdir().unwrap();
    for (dtypes, most) in [(Dtypes::Narrow, 2.1), (Dtypes::Signed, 2.1)] {
        let output = folder.path().join(dtypes.name());
        let plan = PlanOptions {
            compression: dtypes.best_compression(),
            ..plan_options(dtypes, 1_000_000)
        };
        let outcome = convert(source.clone(), &output, &plan, run_options(2, 50)).unwrap();
        let each = outcome.bytes_out as f64 / 1e5;
        assert!(each < most, "{each} bytes a row with {}", dtypes.name());
    }
}

/// A matrix of `sprs` becomes what an equal one in any layout does; a job goes on with the same values
/// only.
#[test]
fn matrices_in_memory_are_inputs() {
    use arrow::array::StringArray;
    use slaf::source::Memory;
    use slaf::source::memory::MemoryMatrix;
    let folder = tempfile::tempdir().unwrap();
    let names = |prefix: &str, count: usize| {
        StringArray::from_iter_values((0..count).map(|i| format!("{prefix}{i}")))
    };
    let mut x = sprs::TriMat::new((40, 9));
    for cell in 0..40usize {
        for gene in (0..9).filter(|gene| (cell * 7 + gene * 3) % 4 == 0) {
            x.add_triplet(cell, gene, 0.5 + (cell + gene) as f32);
        }
    }
    let dense: Vec<f32> = x.to_csr::<usize>().to_dense().iter().copied().collect();
    let csc: sprs::CsMatI<f32, usize, i32> = x.to_csc();
    let layouts: [MemoryMatrix; 4] = [
        x.to_csr::<usize>().into(),
        csc.into(),
        MemoryMatrix::shared(Arc::new(x.to_csr::<u32>())),
        MemoryMatrix::dense([40, 9], dense.clone()),
    ];
    let mut all = Vec::new();
    let memory = |x: MemoryMatrix, factor: f32| {
        let layer: Vec<f32> = dense.iter().map(|value| value * factor).collect();
        let memory = Memory::builder("made", names("c", 40), names("g", 9)).x(x);
        let memory = memory.layer("more", MemoryMatrix::dense([40, 9], layer));
        memory.obsm("X_d", 9, dense.clone()).build().unwrap()
    };
    let run = |memory: Memory, output: &std::path::Path| {
        let inputs = Inputs::of_open([Arc::new(memory) as Arc<dyn CellSource>]);
        let surveys = Survey::of_all(&inputs, 1).unwrap();
        let plan = Plan::new(&inputs, &surveys, &PlanOptions::default()).unwrap();
        let name = plan.job_id();
        let job = Job::begin(plan, output, run_options(2, 7)).unwrap();
        job.run(&inputs, &()).unwrap().close().unwrap();
        name
    };
    let mut jobs = Vec::new();
    for (number, layout) in layouts.into_iter().enumerate() {
        let output = folder.path().join(format!("{number}.slaf"));
        jobs.push(run(memory(layout.clone(), 2.0), &output));
        assert_no_orphans(&output);
        all.push([TableName::Expression, TableName::Layers].map(|name| table(&output, name)));
        let again = folder.path().join(format!("{number}-again.slaf"));
        assert_eq!(jobs.last(), Some(&run(memory(layout.clone(), 2.0), &again)));
        let other = folder.path().join(format!("{number}-other.slaf"));
        assert_ne!(jobs.last(), Some(&run(memory(layout, 4.0), &other)));
    }
    assert!(all[0][0].num_rows() > 80);
    assert!(all.iter().all(|tables| *tables == all[0]));
    let wrong = |x: MemoryMatrix| {
        let memory = Memory::builder("made", names("c", 2), names("g", 3)).x(x);
        memory.build().map(|_| ()).unwrap_err().to_string()
    };
    for (x, word) in [
        (MemoryMatrix::dense([2, 3], vec![1u8; 5]), "5 values"),
        (MemoryMatrix::dense([3, 2], vec![1u8; 6]), "3 × 2"),
        (
            MemoryMatrix::csr([2, 3], vec![0, 1], vec![0], vec![1.0]),
            "indptr",
        ),
        (
            MemoryMatrix::csr([2, 3], vec![1, 1, 1], vec![0], vec![1.0]),
            "zero",
        ),
        (
            MemoryMatrix::csr([2, 3], vec![0, 2, 1], vec![0], vec![1.0]),
            "ascend",
        ),
        (
            MemoryMatrix::csr([2, 3], vec![0, 0, 2], vec![0], vec![1.0]),
            "ends with 2",
        ),
        (
            MemoryMatrix::csr([2, 3], vec![0.0, 0.0, 1.0], vec![0], vec![1.0]),
            "whole",
        ),
        (
            MemoryMatrix::csr([2, 3], vec![0, 0, 1], vec![0, 1], vec![1.0]),
            "2 indices",
        ),
    ] {
        let message = wrong(x);
        assert!(
            message.contains("made: X") && message.contains(word),
            "{message}"
        );
    }
}
