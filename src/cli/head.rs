//! `slaf head`

use super::arguments::HeadArguments;
use super::output_form::OutputForm;
use super::signals::{Interrupted, end_when_asked};
use crate::error::Error;
use crate::query::{Connection, NamedDataset, Resources};

/// Prints the first rows of a table.
pub(super) fn run(arguments: &HeadArguments) -> Result<(), Error> {
    let form = OutputForm::of(arguments.to, None, false)?;
    end_when_asked(Interrupted::Nothing);
    let datasets = [NamedDataset::given(&arguments.dataset)?];
    let connection = Connection::open(&datasets, &Resources::default())?;
    let sql = format!("SELECT * FROM {}", arguments.table.name());
    let rows = connection.query(&sql, Some(arguments.rows))?;
    form.write(&rows.schema(), rows, Some(arguments.rows))
}
