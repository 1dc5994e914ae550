//! Only rows of cells and genes that are wanted are read.

use super::{ask, converted, rows};

/// Rows that a query read of a table, and took.
fn read(report: &str, table: &str) -> (u64, u64) {
    let (_, of_table) = report.split_once(&format!(".{table} (")).unwrap();
    let line = of_table
        .lines()
        .find(|line| line.contains("rows read"))
        .unwrap();
    let numbers: Vec<u64> = line
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    (numbers[0], numbers[1])
}

#[test]
fn rows_of_other_cells_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    for (name, flags) in [
        ("a.slaf", &[][..]),
        ("b.slaf", &["--dtypes", "signed", "--fragment-rows", "500"]),
    ] {
        let demo = converted(folder.path(), "h5ad/demo.h5ad", name, flags);
        for sql in [
            "SELECT * FROM expression WHERE cell_integer_id BETWEEN 50 AND 60",
            "SELECT e.* FROM expression e JOIN cells c ON e.cell_integer_id = c.cell_integer_id WHERE c.cell_integer_id BETWEEN 50 AND 60",
            "SELECT * FROM expression WHERE cell_integer_id IN (SELECT cell_integer_id FROM cells WHERE cell_integer_id BETWEEN 50 AND 60)",
        ] {
            let report = ask(&demo, sql, &["--explain"]).succeeded().stdout;
            assert_eq!(read(&report, "expression"), (309, 309), "{sql}: {report}");
            assert_eq!(rows(&demo, sql).len(), 309);
        }
        let by_name = "SELECT * FROM x WHERE cell_id IN (SELECT cell_id FROM cells WHERE cell_integer_id = 7)";
        let report = ask(&demo, by_name, &["--explain"]).succeeded().stdout;
        let (read_rows, taken) = read(&report, "x");
        assert!(read_rows == taken && taken < 60, "{report}");
        let genes = "SELECT e.value FROM expression e JOIN genes g ON e.gene_integer_id = g.gene_integer_id WHERE g.symbol = 'GENE7'";
        let report = ask(&demo, genes, &["--explain"]).succeeded().stdout;
        assert!(
            report.contains("gene_integer_id: 1 of 300 wanted"),
            "{report}"
        );
        assert_eq!(read(&report, "expression").1, 59);
    }
}

#[test]
fn a_limit_ends_the_reading() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(
        folder.path(),
        "h5ad/demo.h5ad",
        "a.slaf",
        &["--fragment-rows", "200"],
    );
    let report = ask(&demo, "SELECT * FROM x LIMIT 5", &["--explain", "-@", "1"])
        .succeeded()
        .stdout;
    assert!(read(&report, "x").0 < 1500, "{report}");
    let report = ask(
        &demo,
        "SELECT * FROM x",
        &["--explain", "-@", "1", "-l", "5"],
    )
    .succeeded()
    .stdout;
    assert!(read(&report, "x").0 < 1500, "{report}");
}

/// As they are stored, without being told.
#[test]
fn rows_come_in_the_order_of_the_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(
        folder.path(),
        "h5ad/demo.h5ad",
        "a.slaf",
        &["--fragment-rows", "300"],
    );
    let found = rows(
        &demo,
        "SELECT cell_integer_id * 1000 + gene_integer_id FROM expression WHERE value > 1",
    );
    let found: Vec<i64> = found.iter().map(|row| row.parse().unwrap()).collect();
    assert!(found.len() > 100 && found.is_sorted());
}

#[test]
fn joins_of_a_table_with_itself_are_not_narrowed_by_the_other_side() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(folder.path(), "h5ad/demo.h5ad", "a.slaf", &[]);
    // Two columns are called gene_integer_id, and the last join is about the second one.
    let found = rows(
        &demo,
        "SELECT count(*) FROM expression a JOIN expression b ON a.cell_integer_id = b.cell_integer_id \
         JOIN cells c ON c.cell_integer_id = a.cell_integer_id JOIN genes g ON b.gene_integer_id = g.gene_integer_id \
         WHERE g.gene_id = 'ENSG00000000007'",
    );
    let wanted = rows(
        &demo,
        "SELECT sum(n_genes(cell)) FROM cells WHERE expr('GENE7') > 0",
    );
    assert_eq!(found, wanted);
}

#[test]
fn recursive_queries_read_what_each_round_needs() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(folder.path(), "h5ad/demo.h5ad", "a.slaf", &[]);
    let found = rows(
        &demo,
        "WITH RECURSIVE r AS (SELECT 0 AS cell, 0 AS n UNION ALL \
         SELECT r.cell + 1, e.n FROM r JOIN (SELECT cell_integer_id, count(*) AS n FROM expression GROUP BY cell_integer_id) e \
         ON e.cell_integer_id = r.cell WHERE r.cell < 5) SELECT cell, n FROM r ORDER BY cell",
    );
    let wanted = rows(
        &demo,
        "SELECT cell_integer_id + 1, n_genes(cell) FROM cells WHERE cell_integer_id < 5 ORDER BY 1",
    );
    assert_eq!(found[0], "0\t0");
    assert_eq!(found[1..], wanted);
}
