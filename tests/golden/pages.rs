//! Promise: output for people and for machines changes only deliberately.

use super::inputs::copies;
use super::{command, golden};

#[test]
fn help() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    golden("help", &command(here, 0, &["--help"]));
    for verb in [
        "convert",
        "append",
        "adopt",
        "validate",
        "info",
        "head",
        "columns",
        "pseudobulk",
        "query",
        "verify",
        "completions",
        "man",
    ] {
        let page = command(here, 0, &[verb, "--help"]);
        golden(&format!("help_{verb}"), &page);
    }
}

/// Summaries of conversions and appends, and output of other commands about their results.
#[test]
fn of_everything() {
    let folder = copies(&["h5ad/everything.h5ad"]);
    let here = folder.path();
    let convert = ["convert", "everything.h5ad", "out.slaf", "--progress=none"];
    golden("summary_everything", &command(here, 0, &convert));
    golden("info_everything", &command(here, 0, &["info", "out.slaf"]));
    let json = command(here, 0, &["info", "--json", "out.slaf"]);
    golden("info_everything_json", &json);
    golden(
        "verify_everything",
        &command(
            here,
            0,
            &[
                "verify",
                "out.slaf",
                "--against",
                "everything.h5ad",
                "--progress=none",
            ],
        ),
    );
    let validate = ["validate", "everything.h5ad", "--progress=none"];
    golden("validate_everything", &command(here, 0, &validate));
    let again = [
        "convert",
        "everything.h5ad",
        "json.slaf",
        "--json",
        "--progress=none",
    ];
    golden("summary_everything_json", &command(here, 0, &again));
}

#[test]
fn of_several_inputs() {
    let folder = copies(&["10x_h5/v3.h5", "10x_mtx/v2", "h5ad/demo.h5ad"]);
    let here = folder.path();
    let joined = [
        "v3.h5",
        "v2",
        "--join=outer",
        "--var-join=outer",
        "--cell-id-prefix={source}-",
        "--progress=none",
    ];
    let with = |first: &[&'static str], last: &[&'static str]| {
        let mut all = first.to_vec();
        all.extend(joined);
        all.extend(last);
        all
    };
    golden(
        "validate_joined",
        &command(here, 0, &with(&["validate"], &[])),
    );
    golden(
        "validate_joined_json",
        &command(here, 0, &with(&["validate", "--json"], &[])),
    );
    golden(
        "summary_joined",
        &command(here, 0, &with(&["convert", "-o", "out.slaf"], &[])),
    );
    golden("info_joined", &command(here, 0, &["info", "out.slaf"]));
    let refused = [
        "validate",
        "demo.h5ad",
        "--against",
        "out.slaf",
        "--progress=none",
    ];
    golden("validate_refused", &command(here, 3, &refused));
    let append = [
        "append",
        "demo.h5ad",
        "out.slaf",
        "--join=outer",
        "--obs-join=outer",
        "--var-join=outer",
        "--progress=none",
    ];
    golden("summary_appended", &command(here, 0, &append));
    golden("info_appended", &command(here, 0, &["info", "out.slaf"]));
    // A table that lost a file, and a digest that differs.
    let config = here.join("out.slaf/config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    let found = regex::Regex::new(r#""genes": "[0-9a-f]{32}""#).unwrap();
    let wrong = format!(r#""genes": "{}""#, "0".repeat(32));
    assert!(found.is_match(&text));
    std::fs::write(&config, found.replace(&text, &*wrong).as_ref()).unwrap();
    let verify = ["verify", "out.slaf", "--progress=none"];
    golden("verify_damaged", &command(here, 4, &verify));
}
