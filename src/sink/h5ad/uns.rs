//! Unstructured data: nested groups of scalars and arrays, from JSON.

use serde_json::{Map, Value};

use super::DICT;
use super::frame::is_writable;
use crate::sink::SinkError;
use crate::sink::hdf5::Group;
use crate::source::{Note, TypedVec, Uns};

const SCALAR: [&str; 2] = ["numeric-scalar", "0.2.0"];
const STRING: [&str; 2] = ["string", "0.2.0"];
const ARRAY: [&str; 2] = ["array", "0.2.0"];

/// Writes `uns` into its group, and returns what was left out.
pub(super) fn write(group: &Group, uns: &Uns) -> Result<Vec<Note>, SinkError> {
    let mut notes = Vec::new();
    dict(group, &uns.values, &mut notes)?;
    Ok(notes)
}

fn dict(
    group: &Group,
    values: &Map<String, Value>,
    notes: &mut Vec<Note>,
) -> Result<(), SinkError> {
    for (key, value) in values {
        let left_out = if !is_writable(key) || key.contains('/') {
            Some("HDF5 has no such name".to_string())
        } else {
            entry(group, key, value, notes)?.err()
        };
        notes.extend(left_out.map(|reason| Note::new(group.below(key), reason)));
    }
    Ok(())
}

/// Writes a value; or says why not.
fn entry(
    group: &Group,
    key: &str,
    value: &Value,
    notes: &mut Vec<Note>,
) -> Result<Result<(), String>, SinkError> {
    match value {
        Value::Null => {
            return Ok(Err(
                "it is null, which anndata before 0.12 cannot read".into()
            ));
        }
        Value::String(text) if text.contains('\0') => return Ok(Err(NUL.into())),
        Value::String(text) => group.scalar_text(key, text, STRING)?,
        Value::Bool(_) | Value::Number(_) => match numbers(std::slice::from_ref(value)) {
            Some(mut number) => group.whole(key, &[], &mut number, SCALAR)?,
            None => return Ok(Err("no type holds the number".into())),
        },
        Value::Object(values) => dict(&group.encoded(key, DICT)?, values, notes)?,
        Value::Array(_) => return list(group, key, value, notes),
    }
    Ok(Ok(()))
}

const NUL: &str = "it has a NUL, which texts in HDF5 cannot have";

fn list(
    group: &Group,
    key: &str,
    value: &Value,
    notes: &mut Vec<Note>,
) -> Result<Result<(), String>, SinkError> {
    let mut shape = Vec::new();
    let mut leaves = Vec::new();
    if !flat(value, 0, &mut shape, &mut leaves) {
        return Ok(Err("its lists differ in length or kind".into()));
    }
    if leaves.is_empty() {
        let mut nothing = TypedVec::Float64(Vec::new());
        group.whole(key, &shape, &mut nothing, ARRAY)?;
        return Ok(Ok(()));
    }
    let texts: Option<Vec<&str>> = leaves.iter().map(|value| value.as_str()).collect();
    if let Some(texts) = texts {
        if texts.iter().any(|text| text.contains('\0')) {
            return Ok(Err(NUL.into()));
        }
        group.whole_texts(key, &shape, &texts)?;
        return Ok(Ok(()));
    }
    let missing = leaves.iter().any(|value| value.is_null());
    let is_text = |value: &&&Value| value.is_string();
    if missing && leaves.iter().find(is_text).is_some() {
        return Ok(Err("some of its texts are null".into()));
    }
    let owned: Vec<Value> = leaves.into_iter().cloned().collect();
    match numbers(&owned) {
        Some(mut numbers) => {
            if missing {
                let reason = "what is null among its numbers became NaN";
                notes.push(Note::new(group.below(key), reason));
            }
            group.whole(key, &shape, &mut numbers, ARRAY)?;
        }
        None => return Ok(Err("its values are of several kinds".into())),
    }
    Ok(Ok(()))
}

/// Collects the leaves of nested lists, if all lists of a depth are of one length.
fn flat<'a>(
    value: &'a Value,
    depth: usize,
    shape: &mut Vec<u64>,
    leaves: &mut Vec<&'a Value>,
) -> bool {
    match value {
        Value::Array(values) => {
            let length = values.len() as u64;
            match shape.get(depth) {
                Some(&known) if known != length => return false,
                Some(_) => {}
                // A leaf lay here before.
                None if !leaves.is_empty() => return false,
                None => shape.push(length),
            }
            values
                .iter()
                .all(|value| flat(value, depth + 1, shape, leaves))
        }
        Value::Object(_) => false,
        leaf => {
            leaves.push(leaf);
            depth == shape.len()
        }
    }
}

/// Numbers or booleans of one type; null is NaN among floats.
fn numbers(values: &[Value]) -> Option<TypedVec> {
    if values.iter().all(Value::is_boolean) {
        let bits = values
            .iter()
            .map(|value| u8::from(value == &Value::Bool(true)));
        return Some(TypedVec::Bool(bits.collect()));
    }
    let signed: Option<Vec<i64>> = values.iter().map(Value::as_i64).collect();
    let unsigned = || {
        values
            .iter()
            .map(Value::as_u64)
            .collect::<Option<Vec<u64>>>()
    };
    let float = |value: &Value| match value {
        Value::Null => Some(f64::NAN),
        value => value.as_f64(),
    };
    match (signed, unsigned()) {
        (Some(signed), _) => Some(TypedVec::Int64(signed)),
        (None, Some(unsigned)) => Some(TypedVec::UInt64(unsigned)),
        _ => {
            let floats: Option<Vec<f64>> = values.iter().map(float).collect();
            floats.map(TypedVec::Float64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_arrays_if_they_are_regular() {
        let of = |value: &Value| {
            let (mut shape, mut leaves) = (Vec::new(), Vec::new());
            flat(value, 0, &mut shape, &mut leaves).then_some((shape, leaves.len()))
        };
        assert_eq!(of(&json!([])), Some((vec![0], 0)));
        assert_eq!(of(&json!([[1, 2], [3, 4], [5, 6]])), Some((vec![3, 2], 6)));
        assert_eq!(of(&json!([[], []])), Some((vec![2, 0], 0)));
        for odd in [
            json!([[1], [2, 3]]),
            json!([1, [2]]),
            json!([[1], 2]),
            json!([{}]),
        ] {
            assert_eq!(of(&odd), None, "{odd}");
        }
        assert_eq!(
            numbers(&[json!(1), json!(2)]),
            Some(TypedVec::Int64(vec![1, 2]))
        );
        assert_eq!(
            numbers(&[json!(u64::MAX)]),
            Some(TypedVec::UInt64(vec![u64::MAX]))
        );
        assert_eq!(
            numbers(&[json!(1), json!(0.5)]),
            Some(TypedVec::Float64(vec![1.0, 0.5]))
        );
        assert_eq!(numbers(&[json!(true), json!(1)]), None);
    }
}
