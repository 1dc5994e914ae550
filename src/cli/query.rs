//! `slaf query`

use std::io::{IsTerminal, Read};
use std::path::Path;

use super::allocator;
use super::arguments::{QueryArguments, ReadingResources};
use super::output_form::OutputForm;
use super::query_shell;
use super::report::print;
use super::settings::{enough_memory, threads_or_all};
use super::signals::{Interrupted, end_when_asked};
use crate::error::Error;
use crate::query::{Connection, NamedDataset, Resources, Sink};
use crate::store::read_text;

/// Bytes of a query, at most.
const LONGEST: u64 = 1 << 20;

/// Checked arguments.
struct Request {
    datasets: Vec<NamedDataset>,
    sql: Option<String>,
    form: OutputForm,
    limit: Option<usize>,
    explain: bool,
    resources: Resources,
}

/// Asks a query, and writes the result.
pub(super) fn run(arguments: QueryArguments) -> Result<(), Error> {
    let request = Request::check(arguments)?;
    allocator::spare(request.resources.memory);
    end_when_asked(Interrupted::Nothing);
    let connection = Connection::open(&request.datasets, &request.resources)?;
    let sql = match &request.sql {
        Some(sql) => sql.clone(),
        None if std::io::stdin().is_terminal() => {
            if request.form.sink != Sink::Standard {
                return Err(Error::Usage(
                    "-o is for one query, which is given last".into(),
                ));
            }
            let mut ask = |sql: &str| answer(&connection, sql, &request);
            return query_shell::run(&connection, &mut ask);
        }
        None => from_standard_input()?,
    };
    if sql.trim() == ".tables" {
        return print(&query_shell::tables(&connection));
    }
    if let Some(table) = sql.trim().strip_prefix(".schema") {
        let table = Some(table.trim()).filter(|table| !table.is_empty());
        return print(&query_shell::schema(&connection, table));
    }
    answer(&connection, &sql, &request)
}

fn answer(connection: &Connection, sql: &str, request: &Request) -> Result<(), Error> {
    let mut batches = connection.query(sql, request.limit)?;
    for warning in batches.warnings() {
        tracing::warn!("{warning}");
    }
    let schema = batches.schema();
    if request.explain {
        let mut rows = 0;
        for batch in batches.by_ref() {
            rows += batch?.num_rows();
        }
        return print(&format!("{}rows       {rows}\n", batches.report()));
    }
    request.form.write(&schema, batches, request.limit)
}

impl Request {
    fn check(arguments: QueryArguments) -> Result<Self, Error> {
        let QueryArguments {
            mut given,
            file,
            output,
            overwrite,
            to,
            limit,
            explain,
            resources: ReadingResources { memory, threads },
            scratch_dir,
        } = arguments;
        let last = given.last().filter(|last| is_sql(last));
        let sql = match (last.map(|last| last.to_string_lossy().into_owned()), file) {
            (Some(_), Some(_)) => {
                return Err(Error::Usage(
                    "a query and --file are given; which one is meant?".into(),
                ));
            }
            (Some(sql), None) => {
                given.pop();
                Some(sql)
            }
            (None, Some(file)) => Some(read_text(&file, LONGEST)?),
            (None, None) => None,
        };
        let datasets = given.iter().map(|given| NamedDataset::given(given));
        let datasets = datasets.collect::<Result<Vec<_>, _>>()?;
        let form = OutputForm::of(to, output, overwrite)?;
        let scratch = scratch_dir.unwrap_or_else(std::env::temp_dir);
        if !scratch.is_dir() {
            return Err(Error::Usage(format!(
                "--scratch-dir {} is not a folder",
                scratch.display()
            )));
        }
        Ok(Request {
            datasets,
            sql,
            form,
            limit,
            explain,
            resources: Resources {
                memory: enough_memory(memory)?,
                threads: threads_or_all(threads),
                scratch,
            },
        })
    }
}

/// Whether an argument is a query: no file has such a name.
fn is_sql(argument: &Path) -> bool {
    let text = argument.to_string_lossy();
    !argument.exists()
        && !text.contains(".slaf")
        && (text.contains([' ', '\n', '\t', '(', ';'])
            || text.starts_with(".tables")
            || text.starts_with(".schema"))
        || text.trim_start().to_lowercase().starts_with("select ")
}

fn from_standard_input() -> Result<String, Error> {
    let mut sql = String::new();
    let read = std::io::stdin().take(LONGEST + 1).read_to_string(&mut sql);
    read.map_err(|error| {
        Error::Usage(format!(
            "the query cannot be read from standard input: {error}"
        ))
    })?;
    if sql.trim().is_empty() {
        Err(Error::Usage(
            "no query is given: it comes last, as in slaf query atlas.slaf \"SELECT …\", or from standard input".into(),
        ))
    } else {
        Ok(sql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_told_from_datasets() {
        let is = |text: &str| is_sql(Path::new(text));
        assert!(is("SELECT 1") && is("values(1)") && is("select\n1"));
        assert!(!is("atlas.slaf") && !is("a=b/c.slaf") && !is("my data.slaf"));
        assert!(is("SELECT * FROM 'my data.slaf/x.csv'"));
    }
}
