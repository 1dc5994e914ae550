//! Sums of groups of cells.

use std::fs;

use super::{converted, rows};
use crate::support::program::{Run, slaf};

/// The sums are those that SQL computes, in both kinds of types and in many fragments, and so are the
/// numbers of cells.
#[test]
fn sums_are_those_of_sql() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (name, flags) in [
        ("a.slaf", &[][..]),
        ("b.slaf", &["--dtypes", "signed", "--fragment-rows", "700"]),
    ] {
        let demo = converted(here, "h5ad/demo.h5ad", name, flags);
        let file = here.join("sums.parquet");
        let mut command = slaf(&[
            "pseudobulk",
            "--by",
            "cell_type,doublet",
            "--overwrite",
            "-o",
        ]);
        Run::of(command.arg(&file).arg(&demo)).succeeded();
        let different = format!(
            "SELECT count(*), sum(coalesce(s.sum, 0)) FROM '{}' s FULL JOIN (SELECT cell_type, doublet, gene_id, sum(value) AS sum \
             FROM x JOIN cells USING (cell_id) GROUP BY cell_type, doublet, gene_id) q \
             ON s.cell_type = q.cell_type AND s.doublet = q.doublet AND s.gene_id = q.gene_id \
             WHERE coalesce(s.sum, 0) <> coalesce(q.sum, 0)",
            file.display()
        );
        assert_eq!(rows(&demo, &different), ["0\t"]);
        let counts = format!(
            "SELECT count(*) FROM (SELECT DISTINCT cell_type, doublet, n_cells FROM '{}') s JOIN \
             (SELECT cell_type, doublet, count(*) AS n FROM cells GROUP BY cell_type, doublet) q \
             ON s.cell_type = q.cell_type AND s.doublet = q.doublet AND s.n_cells = q.n",
            file.display()
        );
        assert_eq!(rows(&demo, &counts), ["6"]);
    }
}

#[test]
fn as_tsv_a_row_is_a_group() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(folder.path(), "h5ad/demo.h5ad", "a.slaf", &[]);
    let mut command = slaf(&["pseudobulk", "--by", "cell_type"]);
    let text = Run::of(command.arg(&demo)).succeeded().stdout;
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0][..3], ["cell_type", "n_cells", "ENSG00000000001"]);
    assert_eq!(lines[1][..2], ["B cell", "71"]);
    assert!(lines.iter().all(|line| line.len() == 302));
    let sums: i64 = lines[1..]
        .iter()
        .flat_map(|line| &line[2..])
        .map(|sum| sum.parse::<i64>().unwrap())
        .sum();
    assert_eq!(rows(&demo, "SELECT sum(value) FROM x"), [sums.to_string()]);
}

#[test]
fn layers_and_real_numbers_are_summed() {
    let folder = tempfile::tempdir().unwrap();
    let all = converted(folder.path(), "h5ad/everything.h5ad", "a.slaf", &[]);
    let mut command = slaf(&[
        "pseudobulk",
        "--by",
        "kind",
        "--layer",
        "scaled",
        "--to",
        "jsonl",
    ]);
    let text = Run::of(command.arg(&all)).succeeded().stdout;
    let sum: f64 = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["sum"]
                .as_f64()
                .unwrap()
        })
        .sum();
    let wanted: f64 = rows(&all, "SELECT sum(value) FROM x_scaled")[0]
        .parse()
        .unwrap();
    assert!((sum - wanted).abs() < 1e-3, "{sum} {wanted}");
}

#[test]
fn what_cannot_be_grouped_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let demo = converted(here, "h5ad/demo.h5ad", "a.slaf", &[]);
    let refused = |flags: &[&str], code: i32| {
        let mut command = slaf(&["pseudobulk"]);
        Run::of(command.arg(&demo).args(flags)).refused(code).stderr
    };
    assert!(refused(&["--by", "cell_tpe"], 2).contains("did you mean cell_type?"));
    assert!(refused(&["--by", "cell_type", "--layer", "none"], 2).contains("no layers"));
    let file = here.join("out.tsv");
    fs::write(&file, "mine").unwrap();
    assert!(
        refused(&["--by", "cell_type", "-o", file.to_str().unwrap()], 2).contains("--overwrite")
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

/// 60,000 groups of 300 genes are 137 MiB of sums; 256 MiB are too little beside what else there is.
#[test]
fn sums_that_do_not_fit_into_memory_are_refused() {
    use crate::support::h5ad_writer::write_named;

    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let cells: Vec<String> = (0..60_000).map(|cell| format!("c{cell}")).collect();
    let genes: Vec<String> = (0..300).map(|gene| format!("g{gene}")).collect();
    let input = here.join("many.h5ad");
    write_named(&input, &cells, &genes, &[(0, 0, 1.0), (59_999, 299, 2.0)]);
    let dataset = here.join("many.slaf");
    Run::of(slaf(&["convert", "-q"]).arg(&input).arg(&dataset)).succeeded();
    let mut command = slaf(&["pseudobulk", "--by", "cell_id", "--memory", "256MiB"]);
    let run = Run::of(command.arg(&dataset)).refused(1);
    assert!(
        run.stderr.contains("60000 groups of 300 genes need about"),
        "{}",
        run.stderr
    );
}
