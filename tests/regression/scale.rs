//! Detection of counts, and of values that are no longer counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use slaf::source::{Inputs, OpenOptions, TypedVec};
use slaf::survey::{LogBase, Scale, ScaleKind, Survey};

use crate::support::h5ad_writer::{Stored, add_matrix, write_matrix};
use crate::support::made_scales::{Dice, Made, counts, half, single, whole};
use crate::support::program::{Run, slaf};
use crate::support::{described_fixtures, fixtures, shared};

fn verdict(made: &Made, store: fn(Vec<f64>) -> TypedVec) -> Scale {
    let inputs = Inputs::of_open([Arc::new(made.source(store)) as Arc<_>]);
    Survey::of_all(&inputs, 1).unwrap()[0].main.scale
}

fn log(base: LogBase, sum: impl Into<Option<f64>>) -> Scale {
    Scale {
        kind: ScaleKind::LogNormalized,
        base: Some(base),
        target_sum: sum.into(),
    }
}

fn log_of_counts(base: LogBase) -> Scale {
    Scale {
        kind: ScaleKind::LogCounts,
        base: Some(base),
        target_sum: None,
    }
}

fn normalized(sum: impl Into<Option<f64>>) -> Scale {
    Scale {
        kind: ScaleKind::Normalized,
        base: None,
        target_sum: sum.into(),
    }
}

fn double(values: Vec<f64>) -> TypedVec {
    TypedVec::Float64(values)
}

/// As `scran` and `DESeq2` do: divides each cell by a factor other than its sum.
fn by_factors(made: &Made) -> Made {
    let mut dice = Dice::new(99);
    made.by_cell(|cell| {
        let factor = (0.4 * dice.normal()).exp();
        cell.iter().map(|value| value / factor).collect()
    })
}

/// Abundances that are not derived from counts, as estimated by salmon and RSEM.
fn tpm(made: &Made) -> Made {
    let mut dice = Dice::new(7);
    let lengths: Vec<f64> = (0..made.genes).map(|_| 0.3 + 4.0 * dice.part()).collect();
    let each = |cell: &Vec<f64>| {
        let rates = cell
            .iter()
            .zip(&lengths)
            .map(|(value, length)| value / length);
        rates.collect::<Vec<f64>>()
    };
    made.by_cell(each).scaled_to(Some(1e6))
}

fn log2p(value: f64) -> f64 {
    value.ln_1p() / std::f64::consts::LN_2
}

fn log10p(value: f64) -> f64 {
    value.ln_1p() / std::f64::consts::LN_10
}

/// Counts with some reads shared between genes, as in alevin.
fn estimated(made: &Made) -> Made {
    let mut dice = Dice::new(3);
    made.by_cell(|cell| {
        let estimate = |value: &f64| {
            if *value > 0.0 && dice.part() < 0.3 {
                value * (0.4 + 0.6 * dice.part())
            } else {
                *value
            }
        };
        cell.iter().map(estimate).collect()
    })
}

/// Counts minus contamination, as SoupX leaves them if it does not round.
fn less_soup(made: &Made) -> Made {
    let mut dice = Dice::new(5);
    let soup: Vec<f64> = (0..made.genes)
        .map(|_| 0.09 * dice.part().powi(3))
        .collect();
    made.by_cell(|cell| {
        let clean = cell
            .iter()
            .zip(&soup)
            .map(|(value, soup)| (value - soup).max(0.0));
        clean.collect()
    })
}

/// Reads that map to several genes are counted for each in equal parts.
fn shared_evenly(made: &Made) -> Made {
    let mut dice = Dice::new(6);
    made.map(|value| value).by_cell(|cell| {
        let own = |value: &f64| {
            if *value > 0.0 {
                value - 1.0 + [1.0, 0.5, 1.0 / 3.0, 0.25][(dice.part() * 4.0) as usize]
            } else {
                0.0
            }
        };
        cell.iter().map(own).collect()
    })
}

/// Batch correction makes some values negative, without centring.
fn corrected(made: &Made) -> Made {
    let mut dice = Dice::new(8);
    made.by_cell(|cell| {
        let shift = |value: &f64| value + 0.3 * dice.normal();
        cell.iter().map(shift).collect()
    })
}

type Store = fn(Vec<f64>) -> TypedVec;

// Counts and log-normalised values were joined silently: values were not inspected at all.
#[test]
fn matrices_of_all_kinds_are_named() {
    let some = counts(1, 300, 800, 3_000.0, 0.4);
    let few = counts(2, 90, 400, 1_500.0, 0.0);
    let deep = counts(3, 60, 300, 60_000.0, 0.3);
    let shallow = counts(4, 400, 600, 150.0, 0.2);
    let tiny = Made {
        genes: 5,
        cells: vec![
            vec![1.0, 0.0, 3.0, 0.0, 2.0],
            vec![0.0, 5.0, 1.0, 1.0, 0.0],
            vec![2.0, 0.0, 0.0, 7.0, 1.0],
        ],
    };
    let ones = few.map(|value| f64::from(u8::from(value > 0.0)));
    let ten = |made: &Made| made.scaled_to(Some(1e4));
    let million = |made: &Made| made.scaled_to(Some(1e6));
    let median_of = |made: &Made| {
        let scaled = made.scaled_to(None);
        scaled.cells[0].iter().sum::<f64>()
    };
    let mut dice = Dice::new(11);
    let noise = some.by_cell(|cell| cell.iter().map(|_| dice.part() * 3.0).collect());
    let garbage = noise.map(|value| value - 0.4);
    let counts_scale = Scale::of(ScaleKind::Counts);
    let scaled = Scale::of(ScaleKind::Scaled);
    let fractions = Scale::of(ScaleKind::Fractions);
    let unknown = Scale::of(ScaleKind::Unknown);
    let hvg = |made: &Made| made.every_gene(7);
    let cases: Vec<(&str, Made, Store, Scale)> = vec![
        ("poisson counts", few.clone(), whole, counts_scale),
        ("counts in float32", some.clone(), single, counts_scale),
        ("counts in float64", deep.clone(), double, counts_scale),
        ("shallow counts", shallow.clone(), single, counts_scale),
        ("ones", ones.clone(), single, counts_scale),
        ("tiny counts", tiny.clone(), single, counts_scale),
        (
            "great counts",
            deep.map(|v| v * 100_003.0),
            double,
            counts_scale,
        ),
        (
            "log1p, 1e4",
            ten(&some).map(f64::ln_1p),
            single,
            log(LogBase::E, 1e4),
        ),
        (
            "log1p, 1e4, float64",
            ten(&some).map(f64::ln_1p),
            double,
            log(LogBase::E, 1e4),
        ),
        (
            "log1p, 1e4, float16",
            ten(&few).map(f64::ln_1p),
            half,
            log(LogBase::E, 1e4),
        ),
        (
            "log1p, 1e4, deep",
            ten(&deep).map(f64::ln_1p),
            single,
            log(LogBase::E, 1e4),
        ),
        (
            "log1p, 1e4, shallow",
            ten(&shallow).map(f64::ln_1p),
            single,
            log(LogBase::E, 1e4),
        ),
        (
            "log1p, 1e6",
            million(&some).map(f64::ln_1p),
            single,
            log(LogBase::E, 1e6),
        ),
        (
            "log1p, tiny",
            ten(&tiny).map(f64::ln_1p),
            single,
            log(LogBase::E, 1e4),
        ),
        (
            "log1p, ones",
            ten(&ones).map(f64::ln_1p),
            single,
            log(LogBase::E, 1e4),
        ),
        (
            "log1p, median",
            some.scaled_to(None).map(f64::ln_1p),
            single,
            log(LogBase::E, median_of(&some)),
        ),
        (
            "log2, 1e4",
            ten(&some).map(log2p),
            single,
            log(LogBase::Two, 1e4),
        ),
        (
            "log2, 1e6",
            million(&few).map(log2p),
            single,
            log(LogBase::Two, 1e6),
        ),
        (
            "log10, 1e4",
            ten(&few).map(log10p),
            single,
            log(LogBase::Ten, 1e4),
        ),
        (
            "log10, 1e6",
            million(&some).map(log10p),
            double,
            log(LogBase::Ten, 1e6),
        ),
        (
            "log1p, 1e4, some genes",
            hvg(&ten(&some)).map(f64::ln_1p),
            single,
            log(LogBase::E, 1e4),
        ),
        (
            "log2, 1e6, some genes",
            hvg(&million(&some)).map(log2p),
            single,
            log(LogBase::Two, 1e6),
        ),
        (
            "log1p, median, some genes",
            hvg(&some.scaled_to(None)).map(f64::ln_1p),
            single,
            log(LogBase::E, None),
        ),
        (
            "log1p, factors",
            by_factors(&some).map(f64::ln_1p),
            single,
            log(LogBase::E, None),
        ),
        (
            "log2, factors",
            by_factors(&some).map(log2p),
            single,
            log(LogBase::Two, None),
        ),
        (
            "log1p of counts",
            some.map(f64::ln_1p),
            single,
            log_of_counts(LogBase::E),
        ),
        (
            "log2 of counts",
            few.map(log2p),
            double,
            log_of_counts(LogBase::Two),
        ),
        (
            "log10 of counts",
            deep.map(log10p),
            single,
            log_of_counts(LogBase::Ten),
        ),
        (
            "log1p of tiny counts",
            tiny.map(f64::ln_1p),
            single,
            log_of_counts(LogBase::E),
        ),
        ("CPM", million(&some), single, normalized(1e6)),
        (
            "CPM, some genes",
            hvg(&million(&some)),
            single,
            normalized(1e6),
        ),
        ("TPM", tpm(&some), single, normalized(1e6)),
        (
            "log1p of TPM",
            tpm(&some).map(f64::ln_1p),
            single,
            log(LogBase::E, 1e6),
        ),
        (
            "log2 of TPM",
            tpm(&few).map(log2p),
            single,
            log(LogBase::Two, 1e6),
        ),
        ("1e4", ten(&some), single, normalized(1e4)),
        (
            "median",
            few.scaled_to(None),
            single,
            normalized(median_of(&few)),
        ),
        (
            "parts of a cell",
            some.scaled_to(Some(1.0)),
            double,
            normalized(1.0),
        ),
        ("factors", by_factors(&some), single, normalized(None)),
        (
            "z-scores",
            ten(&few).map(f64::ln_1p).z_scores(f64::MAX),
            single,
            scaled,
        ),
        (
            "z-scores up to 10",
            ten(&some).map(f64::ln_1p).z_scores(10.0),
            single,
            scaled,
        ),
        (
            "z-scores after a regression",
            ten(&some).map(f64::ln_1p).regressed().z_scores(10.0),
            single,
            scaled,
        ),
        ("z-scores of three", tiny.z_scores(f64::MAX), double, scaled),
        ("alevin", estimated(&some), single, fractions),
        ("SoupX", less_soup(&some), single, fractions),
        ("shared reads", shared_evenly(&few), single, fractions),
        ("roots", some.map(f64::sqrt), single, unknown),
        ("residuals", few.residuals(), single, unknown),
        ("residuals of many", some.residuals(), single, unknown),
        (
            "corrected",
            corrected(&ten(&some).map(f64::ln_1p)),
            single,
            unknown,
        ),
        ("noise", noise, single, unknown),
        ("noise about zero", garbage, single, unknown),
        (
            "nothing",
            some.map(|_| 0.0),
            single,
            Scale::of(ScaleKind::Empty),
        ),
    ];
    assert!(cases.len() >= 30);
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(name, made, store, wanted)| {
            let found = verdict(made, *store);
            let sums = (found.target_sum, wanted.target_sum);
            let same_sum = match sums {
                (Some(found), Some(wanted)) => (found - wanted).abs() < 1e-3 * wanted,
                (found, wanted) => found == wanted,
            };
            let same = found.kind == wanted.kind && found.base == wanted.base && same_sum;
            (!same).then(|| format!("{name}: {found} instead of {wanted}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn write(path: &Path, made: &Made, stored: Stored) -> PathBuf {
    let shape = [made.cells.len(), made.genes];
    write_matrix(path, shape, &made.entries(), stored, None);
    path.to_path_buf()
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap()
}

// The result does not depend on the layout of a matrix: for a column-major one, rows are assembled
// from a sample.
#[test]
fn the_layout_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let made = counts(1, 200, 300, 2_000.0, 0.3).scaled_to(Some(1e4));
    let made = made.map(f64::ln_1p);
    for (name, stored) in [
        ("csr", Stored::Csr),
        ("csc", Stored::Csc),
        ("dense", Stored::Dense),
    ] {
        let path = write(&folder.path().join(format!("{name}.h5ad")), &made, stored);
        let inputs = Inputs::of_paths([(path, OpenOptions::default())]);
        let survey = &Survey::of_all(&inputs, 1).unwrap()[0];
        assert_eq!(survey.main.scale, log(LogBase::E, 1e4), "{name}");
    }
}

/// Writes files of counts, of their logarithms, and of logarithms with another target sum.
fn three(folder: &Path) -> [PathBuf; 3] {
    let made = counts(1, 60, 80, 900.0, 0.3);
    let other = counts(2, 50, 80, 900.0, 0.3);
    let logs = other.scaled_to(Some(1e4)).map(f64::ln_1p);
    let more = counts(3, 40, 80, 900.0, 0.3).scaled_to(Some(1e6));
    [
        write(&folder.join("counts.h5ad"), &made, Stored::Csr),
        write(&folder.join("logs.h5ad"), &logs, Stored::Csr),
        write(
            &folder.join("more.h5ad"),
            &more.map(f64::ln_1p),
            Stored::Csr,
        ),
    ]
}

#[test]
fn different_scales_are_not_joined() {
    let folder = tempfile::tempdir().unwrap();
    let [of_counts, logs, more] = three(folder.path());
    let dataset = folder.path().join("out.slaf");
    let run = |command: &str, inputs: &[&PathBuf], flags: &[&str]| {
        let mut run = slaf(&[command]);
        run.args(inputs);
        if command != "validate" {
            run.arg(&dataset);
        }
        Run::of(run.args(["--cell-id-prefix", "{source}_"]).args(flags))
    };
    for (inputs, words) in [
        (
            [&of_counts, &logs],
            "log1p of counts scaled to 10,000 per cell",
        ),
        ([&logs, &more], "CPM or TPM"),
    ] {
        let refused = run("convert", &inputs, &["-q"]).refused(3);
        for word in ["--allow-mixed-scales", words, "counts.h5ad", "logs.h5ad"] {
            let there = refused.stderr.contains(word) || word == "counts.h5ad";
            assert!(there, "{word}: {}", refused.stderr);
        }
        let told = run("validate", &inputs, &[]);
        assert_eq!(told.code, Some(3));
        assert!(
            told.stderr.contains("--allow-mixed-scales"),
            "{}",
            told.stderr
        );
    }
    let report = json(&run("validate", &[&logs], &["--json"]));
    assert_eq!(report["inputs"][0]["scale"]["kind"], "log_normalized");
    assert_eq!(report["inputs"][0]["scale"]["base"], "e");
    assert_eq!(report["inputs"][0]["scale"]["target_sum"], 10_000.0);

    run("convert", &[&of_counts], &["-q"]).succeeded();
    let refused = run("append", &[&logs], &["-q", "--widen"]).refused(3);
    assert!(refused.stderr.contains("out.slaf"), "{}", refused.stderr);
    let flags = ["--widen", "--allow-mixed-scales", "--json"];
    let appended = json(&run("append", &[&logs], &flags).succeeded());
    let warnings = appended["dataset"]["sources"][1]["warnings"].to_string();
    assert!(warnings.contains("is on another scale than"), "{warnings}");
    let info = Run::of(slaf(&["info"]).arg(&dataset)).succeeded();
    assert!(info.stdout.contains("non-zeros; counts"), "{}", info.stdout);
    assert!(
        info.stdout
            .contains("log1p of counts scaled to 10,000 per cell"),
        "{}",
        info.stdout
    );
}

// It was only reported if a raw matrix contained the counts.
#[test]
fn what_is_not_counts_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let [of_counts, logs, _] = three(folder.path());
    let convert = |input: &PathBuf, name: &str| {
        let mut run = slaf(&["convert"]);
        Run::of(run.arg(input).arg(folder.path().join(name))).succeeded()
    };
    let run = convert(&logs, "logs.slaf");
    let words = "X is not counts, but log1p of counts scaled to 10,000 per cell";
    assert!(run.stdout.contains(words), "{}", run.stdout);
    let run = convert(&of_counts, "counts.slaf");
    assert!(run.stdout.contains("X is counts"), "{}", run.stdout);
    assert!(!run.stdout.contains("is not counts"), "{}", run.stdout);
    // The input's type was reported as the dataset's.
    let words = "uint16, exact for every value (the input has float32)";
    assert!(run.stdout.contains(words), "{}", run.stdout);
}

// The sample does not count once all values are known: only the last cell has a fraction.
#[test]
fn a_verdict_is_withdrawn_by_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<Vec<i32>> = (0..500).map(|_| vec![0, 1, 2]).collect();
    let mut values = vec![3.0f32; 1500];
    values[1499] = 0.25;
    let source =
        crate::support::memory_source::MemorySource::new(4, &rows, TypedVec::Float32(values), 60);
    let inputs = Inputs::of_open([Arc::new(source) as Arc<_>]);
    let surveys = Survey::of_all(&inputs, 1).unwrap();
    assert_eq!(surveys[0].main.scale, Scale::of(ScaleKind::Counts));
    let options = slaf::plan::PlanOptions::default();
    let plan = slaf::plan::Plan::new(&inputs, &surveys, &options).unwrap();
    let run = slaf::ingest::RunOptions {
        threads: 2,
        memory: 512 << 20,
        chunk_cells: u64::MAX,
        existing: slaf::ingest::OverwritePolicy::Refuse,
        earlier: slaf::ingest::ResumePolicy::Resume,
        wait: slaf::store::LockPolicy::No,
    };
    let output = folder.path().join("out.slaf");
    let job = slaf::ingest::Job::begin(plan, &output, run).unwrap();
    let finished = job.run(&inputs, &()).unwrap();
    let source = &finished.outcome().dataset.sources[0];
    assert_eq!(source.scale, Some(Scale::of(ScaleKind::Unknown)));
    let warnings = source.warnings.join("\n");
    assert!(warnings.contains("X is not counts"), "{warnings}");
    finished.close().unwrap();
}

/// Cells of the matrix below.
const HIDDEN: usize = 30_000;

/// Stored zeros, and whole numbers where no piece of a sample is: these begin 37,835 entries apart, and
/// have 16,384 each.
fn hidden_counts() -> Vec<(usize, usize, f32)> {
    let value = |entry: usize| match entry % 37_835 {
        20_000..34_000 if entry < 100_000 => (1 + entry % 7) as f32,
        _ => 0.0,
    };
    let entries = 0..HIDDEN * 80;
    entries
        .map(|entry| (entry / 80, entry % 80, value(entry)))
        .collect()
}

/// Refuses inputs whose scales are only known once all is written, and takes them if that is asked for.
fn refused_late(inputs: &[&PathBuf], output: &Path, words: &[&str]) {
    let run = |flags: &[&str]| {
        let mut run = slaf(&["convert"]);
        run.args(inputs).arg(output);
        Run::of(run.args(["--cell-id-prefix", "{source}_"]).args(flags))
    };
    let mut validate = slaf(&["validate", "-q", "--cell-id-prefix", "{source}_"]);
    Run::of(validate.args(inputs)).succeeded();
    let refused = run(&["-q"]).refused(3);
    let more = ["--allow-mixed-scales", "nothing of the job is visible"];
    for word in [words, &more[..]].concat() {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
    assert!(slaf::dataset::Dataset::open(output).is_err());
    let report = json(&run(&["--json", "--allow-mixed-scales"]).succeeded());
    // What was written is of use still.
    assert!(report["resumed_shards"].as_u64() > Some(0), "{report}");
}

// The sample of the one input has no values at all, which goes with everything: only what is written
// tells that they are counts.
#[test]
fn scales_that_turn_out_to_differ_are_refused_after_the_last_value() {
    let folder = tempfile::tempdir().unwrap();
    let logs = counts(2, 50, 80, 900.0, 0.3).scaled_to(Some(1e4));
    let logs = write(
        &folder.path().join("logs.h5ad"),
        &logs.map(f64::ln_1p),
        Stored::Csr,
    );
    let hidden = folder.path().join("hidden.h5ad");
    write_matrix(&hidden, [HIDDEN, 80], &hidden_counts(), Stored::Csr, None);
    let inputs = Inputs::of_paths([(hidden.clone(), OpenOptions::default())]);
    let survey = &Survey::of_all(&inputs, 1).unwrap()[0];
    assert_eq!(survey.main.scale, Scale::of(ScaleKind::Empty));
    let output = folder.path().join("out.slaf");
    refused_late(&[&logs, &hidden], &output, &["hidden.h5ad", "logs.h5ad"]);
    // Likewise of an append, which leaves the dataset as it was.
    let dataset = folder.path().join("logs.slaf");
    Run::of(slaf(&["convert", "-q"]).arg(&logs).arg(&dataset)).succeeded();
    let mut append = slaf(&["append", "-q", "--cell-id-prefix", "b_"]);
    let refused = Run::of(append.arg(&hidden).arg(&dataset)).refused(3);
    assert!(refused.stderr.contains("the dataset"), "{}", refused.stderr);
    let verified = Run::of(slaf(&["verify", "-q"]).arg(&dataset));
    assert_eq!(verified.code, Some(0), "{}", verified.stdout);
}

#[test]
fn layers_that_turn_out_to_differ_are_refused_after_the_last_value() {
    let folder = tempfile::tempdir().unwrap();
    let made = counts(2, 50, 80, 900.0, 0.3);
    let logs = made.scaled_to(Some(1e4)).map(f64::ln_1p);
    let one = write(&folder.path().join("one.h5ad"), &made, Stored::Csr);
    add_matrix(&one, "layers/lay", [50, 80], &logs.entries());
    let other = folder.path().join("other.h5ad");
    let of_x: Vec<_> = (0..HIDDEN).map(|cell| (cell, cell % 80, 3.0)).collect();
    write_matrix(&other, [HIDDEN, 80], &of_x, Stored::Csr, None);
    add_matrix(&other, "layers/lay", [HIDDEN, 80], &hidden_counts());
    let output = folder.path().join("out.slaf");
    let words = ["layers/lay", "other.h5ad", "one.h5ad"];
    refused_late(&[&one, &other], &output, &words);
}

#[test]
fn layers_are_judged_and_compared_too() {
    let folder = tempfile::tempdir().unwrap();
    let demo = folder.path().join("out.slaf");
    let input = fixtures("fixtures/h5ad", "h5ad");
    let input = input
        .iter()
        .find(|path| path.ends_with("demo.h5ad"))
        .unwrap();
    let mut run = slaf(&["convert", "--json"]);
    let report = json(&Run::of(run.arg(input).arg(&demo)).succeeded());
    let source = &report["dataset"]["sources"][0];
    assert!(source["scale"]["kind"].is_string(), "{source}");
    for layer in source["layers"].as_array().into_iter().flatten() {
        let of_cells = layer["key"].as_str().unwrap().starts_with("layers/");
        assert_eq!(layer["scale"]["kind"].is_string(), of_cells, "{layer}");
    }
}

/// Prints the scales found in real files; those that are known are asserted.
#[test]
fn real_files_are_named() {
    for fixture in described_fixtures("fixtures/h5ad") {
        print_verdict(&fixture);
    }
    let Some(folder) = shared("data/h5ad") else {
        return;
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in &files {
        print_verdict(file);
    }
}

fn print_verdict(path: &Path) -> Option<Scale> {
    let inputs = Inputs::of_paths([(path.to_path_buf(), OpenOptions::default())]);
    let survey = Survey::of_all(&inputs, 1).ok()?.remove(0);
    println!("{}: {}", path.display(), survey.main.scale);
    for (layer, found) in survey.description.layers.iter().zip(&survey.layers) {
        println!("  {}: {}", layer.object, found.scale);
    }
    Some(survey.main.scale)
}
