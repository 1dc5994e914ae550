//! Looking into datasets and inputs.

use super::converted;
use crate::support::program::{Run, slaf};
use crate::support::{fixtures, repository};

#[test]
fn first_rows_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(folder.path(), "h5ad/demo.h5ad", "a.slaf", &[]);
    let lines = |arguments: &[&str]| {
        let mut command = slaf(&["head"]);
        let run = Run::of(command.arg(&demo).args(arguments)).succeeded();
        run.stdout.lines().count()
    };
    assert_eq!(lines(&[]), 11);
    assert_eq!(lines(&["genes", "-n", "3"]), 4);
    assert_eq!(lines(&["expression", "-n", "6000", "--to", "csv"]), 5769);
    let mut command = slaf(&["head"]);
    let run = Run::of(command.arg(&demo).arg("layers"));
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(
        run.stderr.contains("there is no table layers"),
        "{}",
        run.stderr
    );
    Run::of(slaf(&["head"]).arg(folder.path())).refused(3);
}

#[test]
fn columns_are_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(folder.path(), "h5ad/demo.h5ad", "a.slaf", &[]);
    let mut command = slaf(&["columns", "--to", "csv"]);
    let text = Run::of(command.arg(&demo)).succeeded().stdout;
    assert!(
        text.contains("cells,cell_type,Utf8,0,3,,,\"monocyte (77), B cell (71), T cell (52)\"\n")
    );
    assert!(text.contains("cells,n_counts,Int32,0,53,18,92,"));
    assert!(text.contains("genes,gene_id,Utf8,0,300,,,\n"));
    for fixture in [
        "columns_numbers",
        "columns_kinds",
        "everything",
        "columns_nullable_strings",
    ] {
        let input = format!("h5ad/{fixture}.h5ad");
        let dataset = converted(folder.path(), &input, fixture, &[]);
        let mut command = slaf(&["columns", "--to", "json"]);
        let text = Run::of(command.arg(&dataset)).succeeded().stdout;
        let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert!(rows.len() >= 6);
    }
}

#[test]
fn inputs_of_any_format_are_described() {
    let all =
        ["h5ad/demo.h5ad", "h5ad/everything.h5ad"].map(|path| repository("fixtures").join(path));
    for input in all
        .into_iter()
        .chain(fixtures("fixtures/10x_h5", "h5").into_iter().take(2))
    {
        let text = Run::of(slaf(&["info"]).arg(&input)).succeeded().stdout;
        assert!(
            text.contains("format") && text.contains(" cells × "),
            "{text}"
        );
        let json = Run::of(slaf(&["info", "--json"]).arg(&input))
            .succeeded()
            .stdout;
        let all: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        assert!(all[0]["cells"].as_u64().unwrap() > 0);
    }
    let text = Run::of(slaf(&["info"]).arg(repository("fixtures/h5ad/everything.h5ad")))
        .succeeded()
        .stdout;
    for said in [
        "layer        counts: int32",
        "X_pca: 3 columns",
        "left out     raw/X",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    Run::of(slaf(&["info"]).arg(repository("Cargo.toml"))).refused(3);
}

/// In other types, fragments, order of inputs, or converted once more.
#[test]
fn the_digest_is_that_of_the_contents() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let digest = |dataset: &std::path::Path| {
        let text = Run::of(slaf(&["info", "--digest"]).arg(dataset))
            .succeeded()
            .stdout;
        assert_eq!(text.len(), 65, "{text}");
        text
    };
    for fixture in ["demo", "everything"] {
        let input = format!("h5ad/{fixture}.h5ad");
        let one = converted(here, &input, &format!("{fixture}1"), &[]);
        let other = converted(
            here,
            &input,
            &format!("{fixture}2"),
            &["--dtypes", "signed", "--fragment-rows", "7"],
        );
        assert_eq!(digest(&one), digest(&other), "{fixture}");
        let again = here.join(format!("{fixture}3"));
        Run::of(slaf(&["convert", "-q"]).arg(&other).arg(&again)).succeeded();
        assert_eq!(digest(&one), digest(&again), "{fixture}");
        let part = converted(here, &input, &format!("{fixture}4"), &["--limit", "7"]);
        assert_ne!(digest(&one), digest(&part), "{fixture}");
    }
}
