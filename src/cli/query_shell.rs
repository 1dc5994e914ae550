//! The shell of `slaf query`: queries line by line.

use std::path::PathBuf;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::report::print;
use crate::error::{Error, in_one_line};
use crate::query::{Connection, complete_statements};

/// What `.help` says.
const HELP: &str = "\
A query ends with a semicolon, and may take several lines.
.tables          the tables
.schema [TABLE]  their columns
.quit            the end (also Ctrl-D)
";

/// Reads queries from a terminal, and answers each.
pub(super) fn run(
    connection: &Connection,
    answer: &mut dyn FnMut(&str) -> Result<(), Error>,
) -> Result<(), Error> {
    let failed =
        |error: ReadlineError| Error::Usage(format!("the terminal cannot be read: {error}"));
    let mut editor = DefaultEditor::new().map_err(failed)?;
    let history = history();
    if let Some(history) = &history {
        // There is none the first time.
        let _ = editor.load_history(history);
    }
    eprintln!("slaf query: .help for help, .quit to leave");
    let mut text = String::new();
    loop {
        let prompt = if text.is_empty() { "slaf> " } else { "  ... " };
        let line = match editor.readline(prompt) {
            Ok(line) => line,
            // A line that was begun is left; the shell goes on.
            Err(ReadlineError::Interrupted) => {
                text.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        };
        if text.is_empty() && line.trim().is_empty() {
            continue;
        }
        if text.is_empty() && line.trim_start().starts_with('.') {
            let _ = editor.add_history_entry(line.trim());
            match command(connection, line.trim())? {
                Next::Goes => continue,
                Next::Ends => break,
            }
        }
        text.push_str(&line);
        text.push('\n');
        let (complete, rest) = complete_statements(&text);
        if complete.is_empty() {
            continue;
        }
        let _ = editor.add_history_entry(text.trim());
        text = rest;
        if let Some(history) = &history {
            // History is a comfort: a shell without one is no failure.
            let _ = editor.save_history(history);
        }
        for sql in complete {
            if let Err(error) = answer(&sql) {
                eprintln!("slaf: error: {}", in_one_line(&error));
                if let Some(line) = error.line_of_query() {
                    eprintln!("{line}");
                }
            }
        }
    }
    if let Some(history) = &history {
        let _ = editor.save_history(history);
    }
    Ok(())
}

enum Next {
    Goes,
    Ends,
}

fn command(connection: &Connection, line: &str) -> Result<Next, Error> {
    let mut words = line.split_whitespace();
    match words.next().unwrap_or_default() {
        ".quit" | ".exit" | ".q" => return Ok(Next::Ends),
        ".tables" => print(&tables(connection))?,
        ".schema" => print(&schema(connection, words.next()))?,
        ".help" => print(HELP)?,
        other => eprintln!("there is no command {other}; .help lists all"),
    }
    Ok(Next::Goes)
}

/// The tables, a line each.
pub(super) fn tables(connection: &Connection) -> String {
    let session = connection.session();
    let tables = session.tables().map(|(dataset, table, _)| {
        if session.is_of_one() {
            format!("{table}\n")
        } else {
            format!("{dataset}.{table}\n")
        }
    });
    tables.collect()
}

/// The columns of a table, or of all.
pub(super) fn schema(connection: &Connection, wanted: Option<&str>) -> String {
    let session = connection.session();
    let mut text = String::new();
    for (dataset, table, schema) in session.tables() {
        let full = format!("{dataset}.{table}");
        if wanted.is_some_and(|wanted| wanted != table && wanted != full) {
            continue;
        }
        let name = if session.is_of_one() { table } else { &full };
        let columns = schema.fields().iter();
        let columns = columns.map(|field| format!("{} {}", field.name(), field.data_type()));
        text += &format!("{name} ({})\n", columns.collect::<Vec<_>>().join(", "));
    }
    if let (true, Some(wanted)) = (text.is_empty(), wanted) {
        return format!("there is no table {wanted}; .tables lists all\n");
    }
    text
}

/// The file of the history.
fn history() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let folder = state
        .or_else(|| Some(home?.join(".local/state")))?
        .join("slaf");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("query_history"))
}
