//! What cannot be asked is said, with the place.

use std::fs;

use super::{ask, converted};
use crate::support::dataset::files_below;
use crate::support::program::{Run, slaf};

#[test]
fn mistakes_are_shown_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(folder.path(), "h5ad/demo.h5ad", "a.slaf", &[]);
    for (sql, said, mark) in [
        (
            "SELECT cell_tpe FROM cells",
            "there is no column cell_tpe; did you mean cell_type?",
            "         ^^^^^^^^",
        ),
        (
            "SELECT * FROM cels",
            "there is no table cels; did you mean cells?",
            "                ^^^^",
        ),
        (
            "SELECT * FROM b.cells",
            "there is no dataset b; there are a",
            "                ^",
        ),
        ("SELECT a FROM cells WHERE", "line 1, column", "^"),
        ("SELECT *\nFROM cells\nWHERE nope(1) > 2", "nope", "^^^^"),
        ("SELECT * FROM 'nothing.csv'", "nothing.csv", ""),
        ("SELECT * FROM 'a.xyz/b'", "a.xyz/b", ""),
        ("SELECT 1; SELECT 2", "several statements", ""),
    ] {
        let run = ask(&demo, sql, &[]);
        assert_eq!(run.code, Some(2), "{sql}: {}", run.stderr);
        assert_eq!(run.stdout, "");
        assert!(
            run.stderr.starts_with("slaf: error: query"),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains(said), "{sql}: {}", run.stderr);
        assert!(run.stderr.contains(mark), "{sql}: {}", run.stderr);
    }
}

#[test]
fn nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(folder.path(), "h5ad/demo.h5ad", "a.slaf", &[]);
    let before = files_below(&demo);
    for (sql, word) in [
        ("DELETE FROM cells", "DELETE"),
        ("INSERT INTO cells SELECT * FROM cells", "INSERT"),
        ("UPDATE cells SET cell_type = 'x'", "UPDATE"),
        ("CREATE TABLE t AS SELECT 1", "CREATE"),
        ("CREATE VIEW t AS SELECT 1", "CREATE"),
        ("DROP TABLE cells", "DROP"),
        ("COPY cells TO 'x.csv'", "COPY"),
        (
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'x.csv'",
            "CREATE",
        ),
        ("SELECT * INTO t FROM cells", "SELECT INTO"),
    ] {
        let run = ask(&demo, sql, &[]).refused(2);
        assert!(
            run.stderr.contains(&format!("{word} is refused")),
            "{sql}: {}",
            run.stderr
        );
    }
    ask(&demo, "SELECT count(*) FROM x", &[]).succeeded();
    assert_eq!(files_below(&demo), before);
}

#[test]
fn deep_and_long_queries_end_with_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(folder.path(), "h5ad/demo.h5ad", "a.slaf", &[]);
    let deep = format!("SELECT {}1{}", "(".repeat(3000), ")".repeat(3000));
    assert!(
        ask(&demo, &deep, &[])
            .refused(2)
            .stderr
            .contains("too deep")
    );
    let file = folder.path().join("long.sql");
    let chain = vec!["cell_integer_id = 1"; 20_000].join(" OR ");
    fs::write(&file, format!("SELECT * FROM cells WHERE {chain}")).unwrap();
    let mut long = slaf(&["query", "-f"]);
    assert!(
        Run::of(long.arg(&file).arg(&demo))
            .refused(2)
            .stderr
            .contains("IN (…)")
    );
    let chain = vec!["cell_integer_id = 1"; 900].join(" OR ");
    assert_eq!(
        ask(
            &demo,
            &format!("SELECT count(*) FROM cells WHERE {chain}"),
            &[]
        )
        .succeeded()
        .stdout,
        "count(*)\n1\n"
    );
    // Lists may be as long as a command line.
    let list = (0..5000)
        .map(|n| n.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    let sql = format!("SELECT count(*) FROM cells WHERE cell_integer_id IN ({list})");
    assert_eq!(ask(&demo, &sql, &[]).succeeded().stdout, "count(*)\n200\n");
}

#[test]
fn what_does_not_fit_into_memory_is_spilled_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(folder.path(), "h5ad/demo.h5ad", "a.slaf", &[]);
    let scratch = folder.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let flags = [
        "--memory",
        "256MiB",
        "--scratch-dir",
        scratch.to_str().unwrap(),
    ];
    // Some 90 MB are sorted in 56.
    let long = "SELECT concat(a.cell_id, a.gene_id, a.cell_id, a.gene_id, a.cell_id, a.gene_id) AS name, a.value * b.value AS v \
                FROM x a CROSS JOIN (SELECT value FROM x LIMIT 120) b";
    let file = folder.path().join("sorted.tsv");
    let to_file = [&flags[..], &["-o", file.to_str().unwrap()]].concat();
    ask(&demo, &format!("{long} ORDER BY v, name"), &to_file).succeeded();
    let text = fs::read_to_string(&file).unwrap();
    let values = text.lines().skip(1);
    let values = values.map(|line| line.rsplit('\t').next().unwrap());
    let values: Vec<i64> = values.map(|value| value.parse().unwrap()).collect();
    assert_eq!(values.len(), 5768 * 120);
    assert!(values.is_sorted());
    // A join holds one of its sides, and says so.
    let joined =
        format!("WITH a AS ({long}) SELECT count(*) FROM a JOIN a AS b ON a.name = b.name");
    let run = ask(&demo, &joined, &flags).refused(1);
    assert!(run.stderr.contains("--memory"), "{}", run.stderr);
    assert_eq!(
        fs::read_dir(&scratch).unwrap().count(),
        0,
        "nothing is left there"
    );
    ask(&demo, "SELECT 1", &["--memory", "1MiB"]).refused(2);
    ask(&demo, "SELECT 1", &["--scratch-dir", "/nowhere"]).refused(2);
}

#[test]
fn files_beside_a_dataset_are_tables_and_codes_stay_texts() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(folder.path(), "h5ad/demo.h5ad", "a.slaf", &[]);
    let file = folder.path().join("co des.csv");
    fs::write(&file, "code,n,type\n007,1,B cell\n010,2,T cell\n").unwrap();
    let sql = format!(
        "SELECT code, sum(n), count(*) FROM '{}' f JOIN cells c ON c.cell_type = f.type GROUP BY code ORDER BY code",
        file.display()
    );
    let run = ask(&demo, &sql, &[]).succeeded();
    assert!(
        run.stdout.contains("\n007\t71\t71\n010\t"),
        "{}",
        run.stdout
    );
    let empty = folder.path().join("empty.csv");
    fs::write(&empty, "").unwrap();
    let run = ask(&demo, &format!("SELECT * FROM '{}'", empty.display()), &[]);
    assert!(
        run.code != Some(101) && run.code.is_some(),
        "{}",
        run.stderr
    );
    fs::write(&empty, "a,b\n1\n").unwrap();
    assert_ne!(
        ask(&demo, &format!("SELECT * FROM '{}'", empty.display()), &[]).code,
        Some(0)
    );
}

#[test]
fn folders_that_are_no_datasets_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    ask(folder.path(), "SELECT 1", &[]).refused(3);
    ask(&folder.path().join("nothing"), "SELECT 1", &[]).refused(3);
}
