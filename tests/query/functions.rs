//! Functions that know cells and genes.

use super::{ask, converted, rows};
use crate::support::program::{Run, slaf};

#[test]
fn functions_agree_with_sums_over_entries() {
    let folder = tempfile::tempdir().unwrap();
    for (name, flags) in [("a.slaf", &[][..]), ("b.slaf", &["--dtypes", "signed"])] {
        let demo = converted(folder.path(), "h5ad/demo.h5ad", name, flags);
        let none = "SELECT cell_id FROM (SELECT cell_id, sum(value) AS s, count(*) AS n FROM x GROUP BY cell_id) \
                    WHERE s <> counts(cell_id) OR n <> n_genes(cell_id)";
        assert!(rows(&demo, none).is_empty());
        assert_eq!(
            rows(
                &demo,
                "SELECT sum(counts()) - (SELECT sum(value) FROM x) FROM cells"
            )[0]
            .parse::<f64>()
            .unwrap(),
            0.0
        );
        // By identifier and by symbol, by number and by name of the cell.
        let same = "SELECT count(*) FROM cells c LEFT JOIN x ON x.cell_id = c.cell_id AND gene_id = 'ENSG00000000007' \
                    WHERE expr('ENSG00000000007') = coalesce(value, 0) AND expr('GENE7', c.cell_id) = expr('GENE7', cell)";
        assert_eq!(rows(&demo, same), ["200"]);
        let lognorm = "SELECT max(abs(lognorm(value, counts(cell_id)) - ln(1 + value / counts(cell_id) * 10000))) < 1e-12 FROM x";
        assert_eq!(rows(&demo, lognorm), ["true"]);
        assert_eq!(
            rows(
                &demo,
                "SELECT lognorm(0, 0), lognorm(NULL, 3), lognorm(1, 2, 0)"
            ),
            ["0.0\t\t0.0"]
        );
    }
}

#[test]
fn arithmetic_of_counts_does_not_wrap_nor_round() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(folder.path(), "h5ad/demo.h5ad", "a.slaf", &[]);
    assert_eq!(
        rows(
            &demo,
            "SELECT min(value - 5) < 0, max(value * 100000) > 65535, 1 / 2 FROM expression"
        ),
        ["true\ttrue\t0.5"]
    );
    assert_eq!(
        rows(&demo, "SELECT min(-value) < 0 FROM expression"),
        ["true"]
    );
    assert_eq!(
        rows(
            &demo,
            "SELECT min(a.value - b.value) < 0 FROM expression a, expression b WHERE a.cell_integer_id = 0 AND b.cell_integer_id = 1"
        ),
        ["true"]
    );
}

#[test]
fn what_a_function_cannot_know_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(folder.path(), "h5ad/demo.h5ad", "a.slaf", &[]);
    for (sql, said) in [
        (
            "SELECT expr('GENE8888') FROM cells",
            "there is no gene \"GENE8888\"",
        ),
        (
            "SELECT expr(cell_type) FROM cells",
            "name of one gene in quotes",
        ),
        ("SELECT counts('nobody')", "there is no cell \"nobody\""),
        ("SELECT counts(1000)", "there is no cell number 1000"),
        (
            "SELECT expr('GENE7', percent_mito) FROM cells",
            "given by cell_integer_id or cell_id",
        ),
        (
            "SELECT expr('GENE7') FROM cells a JOIN cells b ON a.cell_id = b.cell_id",
            "several tables have a column cell_integer_id",
        ),
    ] {
        let run = ask(&demo, sql, &[]);
        assert_ne!(run.code, Some(0), "{sql}");
        assert!(run.stderr.contains(said), "{sql}: {}", run.stderr);
    }
}

#[test]
fn of_several_datasets_functions_are_told_whose_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let one = converted(folder.path(), "h5ad/demo.h5ad", "one.slaf", &[]);
    let two = converted(
        folder.path(),
        "h5ad/demo.h5ad",
        "two.slaf",
        &["--dtypes", "signed"],
    );
    let mut command = slaf(&["query"]);
    let sql = "SELECT count(*) FROM one.cells AS a JOIN t.cells AS b ON a.cell_id = b.cell_id \
               WHERE one.expr('GENE7', a.cell_id) = t.expr('GENE7', b.cell_integer_id)";
    command
        .arg(&one)
        .arg(format!("t={}", two.display()))
        .arg(sql);
    assert_eq!(Run::of(&mut command).succeeded().stdout, "count(*)\n200\n");
    let mut command = slaf(&["query"]);
    command.arg(&one).arg(&two).arg("SELECT * FROM cells");
    let run = Run::of(&mut command);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("one.cells or two.cells"),
        "{}",
        run.stderr
    );
    let mut command = slaf(&["query"]);
    command.arg(&one).arg(&one).arg("SELECT 1");
    assert!(
        Run::of(&mut command)
            .refused(2)
            .stderr
            .contains("two datasets are called one")
    );
}
