//! The examples of the help, as they stand there, get the answers of pandas.

use std::path::Path;
use std::process::Command;

use crate::support::program::{Run, slaf};
use crate::support::python;

/// The commands of the examples, in order.
fn examples() -> Vec<String> {
    let help = Run::of(&mut slaf(&["query", "--help"])).succeeded().stdout;
    let (_, examples) = help.split_once("Examples:").unwrap();
    // A command is one paragraph, whose lines the help may break.
    let mut commands: Vec<String> = Vec::new();
    let mut open = false;
    for line in examples.lines().map(str::trim) {
        if line.starts_with("slaf query ") {
            commands.push(line.to_string());
            open = true;
        } else if line.is_empty() {
            open = false;
        } else if open {
            let last = commands.last_mut().unwrap();
            last.push(' ');
            last.push_str(line);
        }
    }
    commands
}

#[test]
fn examples_of_the_help_get_the_answers_of_pandas() {
    let commands = examples();
    assert_eq!(commands.len(), 10, "{commands:#?}");
    for flags in [&[][..], &["--dtypes", "signed"]] {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let Some((made, text)) = python::run("query_examples.py", [Path::new("make"), here]) else {
            return;
        };
        assert!(made, "{text}");
        std::fs::create_dir(here.join("last")).unwrap();
        let convert = |inputs: &[&str], output: &str| {
            let mut convert = slaf(&["convert", "-q"]);
            convert
                .args(inputs)
                .arg(output)
                .args(flags)
                .current_dir(here);
            Run::of(&mut convert).succeeded();
        };
        convert(&["a.h5ad", "b.h5ad"], "atlas.slaf");
        convert(&["a.h5ad"], "last/atlas.slaf");
        let program = Path::new(env!("CARGO_BIN_EXE_slaf")).parent().unwrap();
        for (number, command) in (1..).zip(&commands) {
            let out = std::fs::File::create(here.join(format!("{number}.out"))).unwrap();
            let run = Command::new("sh")
                .args(["-c", command])
                .current_dir(here)
                .env(
                    "PATH",
                    format!("{}:{}", program.display(), std::env::var("PATH").unwrap()),
                )
                .stdout(out)
                .output()
                .unwrap();
            let errors = String::from_utf8_lossy(&run.stderr);
            assert!(
                run.status.success() && errors.is_empty(),
                "{command}: {errors}"
            );
        }
        let checked = python::run("query_examples.py", [Path::new("check"), here]);
        let (same, text) = checked.unwrap();
        assert!(same && text.contains("ok"), "{text}");
    }
}
