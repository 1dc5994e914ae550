//! What Cell Ranger stores about a run in the attributes of a file.

use serde_json::{Number, Value};

use crate::source::hdf5::{Attribute, Hdf5File};
use crate::source::{Note, SourceError, TypedVec, Uns};

/// Attributes that describe the data rather than the HDF5 file.
const KNOWN: [&str; 8] = [
    "chemistry_description",
    "filetype",
    "library_ids",
    "original_gem_groups",
    "software_version",
    "version",
    "probe_set_name",
    "probe_set_ref_genome",
];

/// Returns the attributes of the root as JSON.
pub(super) fn read(file: &Hdf5File, left_out: &mut Vec<Note>) -> Result<Uns, SourceError> {
    let mut uns = Uns::default();
    for name in KNOWN {
        let value = match file.attribute("", name)? {
            Some(Attribute::Text(text)) => Value::String(text),
            Some(Attribute::Texts(texts)) => texts.into_iter().map(Value::String).collect(),
            Some(Attribute::Number(numbers)) => value(&numbers),
            Some(Attribute::Other(what)) => {
                let reason = format!("{what} cannot be read");
                left_out.push(Note::new(format!("the attribute {name}"), reason));
                continue;
            }
            None => continue,
        };
        uns.values.insert(name.into(), value);
    }
    Ok(uns)
}

/// Converts numbers to JSON: a single one to a number, several to a list.
fn value(numbers: &TypedVec) -> Value {
    let mut values: Vec<Value> = match (numbers.to_i64(), numbers.to_f64()) {
        (Ok(integers), _) => integers.into_iter().map(Value::from).collect(),
        (_, Ok(floats)) => floats
            .into_iter()
            .map(|float| Number::from_f64(float).map_or(Value::Null, Value::Number))
            .collect(),
        _ => return Value::Null,
    };
    if values.len() == 1 {
        values.remove(0)
    } else {
        values.into()
    }
}
