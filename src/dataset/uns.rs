//! What is neither a table nor a matrix: the file uns.json, whose keys other programs may add to.
//!
//! slafdb takes all of it for mutable and writes the file anew for each key that is set. Keys that were
//! converted are known one by one, by the hashes of their values: as long as these are what they were,
//! the rest is others'.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Serialize;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::python_json::PythonJson;
use super::{Dataset, UNS, hash_of_file};
use crate::store::{Named, StoreError};

/// What another program has done to uns.json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnsChange {
    /// The hash of the file now; `None` where it is missing.
    pub xxh3: Option<String>,
    /// Keys that were not converted.
    pub keys: Vec<String>,
    /// Known values that are not what they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl fmt::Display for UnsChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Some(problem) => write!(f, "{UNS}: {problem}"),
            None if self.keys.is_empty() => write!(f, "{UNS}: it was written anew"),
            None => {
                let keys = self.keys.join(", ");
                write!(f, "{UNS}: it was written anew, with the keys {keys}")
            }
        }
    }
}

/// Hashes of the values of the keys of uns.json, in hexadecimal digits.
pub type UnsKeys = BTreeMap<String, String>;

/// The keys of the file; `None` where it is no object in JSON.
pub(crate) fn uns_keys(dataset: &Path) -> Result<Option<UnsKeys>, StoreError> {
    let path = dataset.join(UNS);
    // A pipe would wait for somebody to write.
    if !std::fs::metadata(&path).named("open", &path)?.is_file() {
        return Ok(None);
    }
    let file = File::open(&path).named("open", &path)?;
    let reader = PythonJson::of(BufReader::with_capacity(1 << 16, file));
    let mut json = serde_json::Deserializer::from_reader(reader);
    let keys = KeysOf.deserialize(&mut json);
    match keys.and_then(|keys| json.end().map(|()| keys)) {
        Ok(keys) => Ok(Some(keys)),
        Err(error) if error.is_io() => Err(StoreError::from_io("read", &path, error.into())),
        Err(_) => Ok(None),
    }
}

impl Dataset {
    /// What another program has done to uns.json since config.json described it.
    pub(crate) fn uns_change(&self) -> Result<Option<UnsChange>, StoreError> {
        let (config, path) = (self.config(), self.path().join(UNS));
        let xxh3 = hash_of_file(&path)?;
        // Nothing is known of those of other programs' datasets.
        if xxh3 == config.uns_xxh3 || config.uns_xxh3.is_none() && !config.is_described() {
            return Ok(None);
        }
        let mut change = UnsChange {
            xxh3,
            keys: Vec::new(),
            problem: None,
        };
        let none = UnsKeys::new();
        let known = match &config.uns_xxh3 {
            None => Some(&none),
            Some(_) => config.uns_keys.as_ref(),
        };
        let found = match change.xxh3 {
            None => None,
            Some(_) => uns_keys(self.path())?,
        };
        change.problem = match (found, known) {
            _ if change.xxh3.is_none() => Some("it is missing".into()),
            (None, _) => Some("it is not what was written, and no object in JSON".into()),
            (_, None) => {
                Some("it is not what was written, and its keys are not known one by one".into())
            }
            (Some(found), Some(known)) => {
                let new = found.keys().filter(|key| !known.contains_key(*key));
                change.keys = new.cloned().collect();
                let differs = |(key, hash): &(&String, &String)| found.get(*key) != Some(*hash);
                let different = known.iter().filter(differs);
                let different: Vec<&str> = different.map(|(key, _)| key.as_str()).collect();
                let what = different.join(", ");
                (!different.is_empty()).then(|| {
                    format!("it is not what was written: known keys are gone or have other values: {what}")
                })
            }
        };
        Ok(Some(change))
    }
}

/// Reads the keys of an object, and of each value its hash.
struct KeysOf;

impl<'de> DeserializeSeed<'de> for KeysOf {
    type Value = UnsKeys;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<UnsKeys, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for KeysOf {
    type Value = UnsKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UnsKeys, A::Error> {
        let mut keys = UnsKeys::new();
        while let Some(key) = map.next_key::<String>()? {
            let hash = map.next_value_seed(HashOf)?;
            if keys.insert(key, format!("{hash:016x}")).is_some() {
                return Err(A::Error::custom("a key occurs twice"));
            }
        }
        Ok(keys)
    }
}

/// The hash of a value, in whatever order and form it is written.
#[derive(Clone, Copy)]
struct HashOf;

/// The hash of a value of a kind.
fn hash(kind: u8, bytes: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&[kind]);
    hasher.update(bytes);
    hasher.digest()
}

impl<'de> DeserializeSeed<'de> for HashOf {
    type Value = u64;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<u64, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for HashOf {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<u64, E> {
        Ok(hash(b'n', &[]))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<u64, E> {
        Ok(hash(b'b', &[u8::from(value)]))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
        Ok(hash(b'u', &value.to_le_bytes()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u64, E> {
        Ok(hash(b'i', &value.to_le_bytes()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<u64, E> {
        Ok(hash(b'f', &value.to_bits().to_le_bytes()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<u64, E> {
        Ok(hash(b's', value.as_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<u64, A::Error> {
        let mut hasher = Xxh3::new();
        while let Some(value) = values.next_element_seed(HashOf)? {
            hasher.update(&value.to_le_bytes());
        }
        Ok(hash(b'l', &hasher.digest().to_le_bytes()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        // Keys have no order.
        let (mut sum, mut count) = (0u64, 0u64);
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(HashOf)?;
            let both = [xxh3_64(key.as_bytes()), value].map(u64::to_le_bytes);
            sum = sum.wrapping_add(xxh3_64(&both.concat()));
            count += 1;
        }
        let both = [sum, count].map(u64::to_le_bytes);
        Ok(hash(b'm', &both.concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Option<UnsKeys> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(UNS), text).unwrap();
        uns_keys(folder.path()).unwrap()
    }

    #[test]
    fn the_form_does_not_matter_and_all_else_does() {
        let one = keys(r#"{"a": {"x": [1, 2.5, null], "y": "é"}, "b": 1e-7}"#).unwrap();
        let other = keys("{\"b\":1.0e-07,\n\"a\":{\"y\":\"\\u00e9\",\"x\":[1,2.50,null]}}");
        assert_eq!(Some(&one), other.as_ref());
        for text in [
            r#"{"a": {"x": [2.5, 1, null], "y": "é"}}"#,
            r#"{"a": {"x": [1, 2.5, NaN], "y": "é"}}"#,
            r#"{"a": {"x": [1.0, 2.5, null], "y": "é"}}"#,
            r#"{"a": {"x": [1, 2.5], "y": "é"}}"#,
            r#"{"a": {"y": "é"}}"#,
            r#"{"a": {"x": [1, 2.5, null], "y": "e"}}"#,
        ] {
            assert_ne!(keys(text).unwrap()["a"], one["a"], "{text}");
        }
        for nothing in ["", "[1]", "{\"a\": 1} x", "{\"a\": 1, \"a\": 1}", "{\"a\""] {
            assert_eq!(keys(nothing), None, "{nothing}");
        }
        assert!(keys(&format!("{{\"a\": {}", "[".repeat(9_999))).is_none());
    }
}
