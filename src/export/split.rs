//! How an export is divided into files.

use std::collections::BTreeMap;
use std::str::FromStr;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};

use super::cells::Chosen;
use crate::sink::SinkError;
use crate::source::blocks::RowBlocks;
use crate::source::{CellSource, ColumnKind};

/// Groups at most: a column with more values identifies cells.
const MOST_GROUPS: usize = 1 << 17;

/// How an export is divided into files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// Cells of a file, at most.
    pub cells_per_file: Option<u64>,
    /// A column of obs: a file has cells of one value only.
    pub by: Option<String>,
    /// Which of the files are written.
    pub shard: Shard,
}

/// A worker of several, each of which writes other files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 1 on.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl Default for Shard {
    /// One that writes all files.
    fn default() -> Self {
        Shard { number: 1, of: 1 }
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let parts = parts.and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((number, of)) if number >= 1 && number <= of => Ok(Shard { number, of }),
            _ => Err("it is I/N: the number of a worker, from 1 on, and how many there are".into()),
        }
    }
}

/// A file of an export.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub number: usize,
    /// The value that its cells have in common.
    pub value: Option<String>,
    pub cells: Chosen,
}

impl Split {
    /// Whether there is more than one file.
    pub(super) fn is_whole(&self) -> bool {
        self.cells_per_file.is_none() && self.by.is_none()
    }

    /// The files that an export is divided into.
    pub(super) fn parts(&self, source: &dyn CellSource) -> Result<Vec<Part>, SinkError> {
        let groups = match &self.by {
            None => vec![(None, Chosen::Range(0..source.description().n_obs))],
            Some(column) => groups(source, column)?,
        };
        let mut parts = Vec::new();
        for (value, cells) in groups {
            let all = cells.len();
            let step = self.cells_per_file.unwrap_or(u64::MAX).max(1);
            let mut start = 0;
            while start < all {
                let end = all.min(start.saturating_add(step));
                parts.push(Part {
                    number: parts.len(),
                    value: value.clone(),
                    cells: cells.part(start..end),
                });
                start = end;
            }
        }
        Ok(parts)
    }
}

/// The cells of each value of a column: in the order of the categories, or of the texts.
fn groups(
    source: &dyn CellSource,
    column: &str,
) -> Result<Vec<(Option<String>, Chosen)>, SinkError> {
    let about = source.description();
    let Some(place) = about.obs.iter().position(|known| known.name == column) else {
        let names: Vec<&str> = about
            .obs
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        return Err(SinkError::unsupported(
            &about.path,
            format!("--split-by {column}: obs has no such column"),
            format!("choose one of: {}", names.join(", ")),
        ));
    };
    let odd = |what: String, help: &str| SinkError::unsupported(&about.path, what, help);
    if u32::try_from(about.n_obs).is_err() {
        return Err(odd(
            "--split-by: more than 2^32 cells".into(),
            "use --cells-per-file",
        ));
    }
    let categorical = matches!(about.obs[place].kind, ColumnKind::Categorical { .. });
    let mut groups: BTreeMap<(usize, Option<String>), Vec<u32>> = BTreeMap::new();
    let mut blocks = RowBlocks::new(0..about.n_obs, about.obs.len());
    while let Some((rows, batch)) = blocks.read(|rows| source.obs(rows))? {
        blocks.held(batch.get_array_memory_size() as u64);
        let values = batch.column(place);
        let texts = cast(values, &DataType::Utf8);
        let texts = texts.map_err(|error| odd(error.to_string(), "choose another column"))?;
        let texts = texts.as_string::<i32>();
        let codes = values
            .as_dictionary_opt::<Int32Type>()
            .filter(|_| categorical);
        for (at, row) in rows.enumerate() {
            let text = texts.is_valid(at).then(|| texts.value(at).to_string());
            // Those without a value come last.
            let order = match (&text, codes) {
                (None, _) => usize::MAX,
                (Some(_), None) => 0,
                (Some(_), Some(codes)) => codes.key(at).unwrap_or(0),
            };
            // The number of cells was checked above.
            groups.entry((order, text)).or_default().push(row as u32);
        }
        if groups.len() > MOST_GROUPS {
            return Err(odd(
                format!("--split-by {column}: it has more than {MOST_GROUPS} values"),
                "choose a column with fewer, or use --cells-per-file",
            ));
        }
    }
    let groups = groups.into_iter();
    Ok(groups
        .map(|((_, value), rows)| (value, Chosen::These(rows)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_numbered_from_one() {
        assert_eq!("2/3".parse(), Ok(Shard { number: 2, of: 3 }));
        for wrong in ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
