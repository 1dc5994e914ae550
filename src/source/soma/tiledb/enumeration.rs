//! Enumerations: the categories of columns (format_spec/enumeration.md; the names at the beginning
//! are only documented in libtiledb's source).

use arrow::array::{StringArray, StringBuilder};

use super::cursor::Cursor;
use super::datatype::Datatype;
use super::fault::{Checked, Fault};
use crate::source::TypedVec;
use crate::source::number_column::text_of_numbers;

/// The categories of a column, in order.
#[derive(Debug, Clone)]
pub(in crate::source::soma) struct Enumeration {
    /// Whether the categories are ordered.
    pub ordered: bool,
    /// The categories as text; numbers are formatted the way Python does.
    pub values: StringArray,
}

impl Enumeration {
    /// Parses the content of an enumeration file.
    pub fn parse(bytes: &[u8]) -> Checked<Self> {
        let mut cursor = Cursor::new(bytes);
        match cursor.u32()? {
            0 => {}
            other => {
                return Err(Fault::unsupported(format!(
                    "version {other} of an enumeration"
                )));
            }
        }
        let (_name, _path) = (cursor.text32()?, cursor.text32()?);
        let datatype = Datatype::from_code(cursor.u8()?)?;
        let length = cursor.u32()?;
        let ordered = cursor.flag("whether an enumeration is ordered")?;
        let size = cursor.length64()?;
        let data = cursor.take(size)?;
        let values = if length == u32::MAX {
            let size = cursor.length64()?;
            if !size.is_multiple_of(8) {
                return Err(Fault::damaged("its offsets are cut short"));
            }
            let offsets = cursor.u64s(size / 8)?;
            texts(datatype, data, &offsets)?
        } else {
            numbers(datatype, length, data)?
        };
        // Written, but empty, even if all values have the same length.
        if length != u32::MAX && !cursor.rest().is_empty() && cursor.u64()? != 0 {
            return Err(Fault::damaged("values of one length have offsets"));
        }
        cursor.finish("an enumeration")?;
        Ok(Enumeration { ordered, values })
    }
}

fn texts(datatype: Datatype, data: &[u8], offsets: &[u64]) -> Checked<StringArray> {
    if !datatype.is_text() {
        return Err(Fault::unsupported(format!("an enumeration of {datatype}")));
    }
    let mut values = StringBuilder::new();
    for (number, &start) in offsets.iter().enumerate() {
        let end = offsets
            .get(number + 1)
            .copied()
            .unwrap_or(data.len() as u64);
        let text = usize::try_from(start)
            .ok()
            .zip(usize::try_from(end).ok())
            .and_then(|(start, end)| data.get(start..end))
            .ok_or_else(|| Fault::damaged("its offsets do not fit its texts"))?;
        let text = std::str::from_utf8(text)
            .map_err(|_| Fault::damaged(format!("category {number} is not UTF-8")))?;
        values.append_value(text);
    }
    Ok(values.finish())
}

fn numbers(datatype: Datatype, length: u32, data: &[u8]) -> Checked<StringArray> {
    let Datatype::Number(number_type) = datatype else {
        return Err(Fault::unsupported(format!("an enumeration of {datatype}")));
    };
    let size = number_type.size();
    if length != 1 || !data.len().is_multiple_of(size) {
        return Err(Fault::damaged("its values are not numbers one by one"));
    }
    let numbers = TypedVec::of_bytes(number_type, data);
    let numbers = numbers.ok_or(Fault::TooLarge(data.len() as u64))?;
    Ok(text_of_numbers(&numbers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(datatype: u8, length: u32, data: &[u8], offsets: &[u64]) -> Vec<u8> {
        let mut bytes = 0u32.to_le_bytes().to_vec();
        for name in ["a", "b"] {
            bytes.extend((name.len() as u32).to_le_bytes());
            bytes.extend(name.as_bytes());
        }
        bytes.push(datatype);
        bytes.extend(length.to_le_bytes());
        bytes.push(1);
        bytes.extend((data.len() as u64).to_le_bytes());
        bytes.extend(data);
        bytes.extend((offsets.len() as u64 * 8).to_le_bytes());
        offsets
            .iter()
            .for_each(|offset| bytes.extend(offset.to_le_bytes()));
        bytes
    }

    #[test]
    fn texts_and_numbers() {
        let texts = Enumeration::parse(&file(12, u32::MAX, "ä1".as_bytes(), &[0, 2, 3])).unwrap();
        let values: Vec<_> = texts.values.iter().flatten().collect();
        assert!(texts.ordered);
        assert_eq!(values, ["ä", "1", ""]);
        let numbers = Enumeration::parse(&file(3, 1, &1.5f64.to_le_bytes(), &[])).unwrap();
        assert_eq!(numbers.values.value(0), "1.5");
        for wrong in [
            file(12, u32::MAX, b"ab", &[0, 3]),
            file(12, u32::MAX, b"ab", &[2, 1]),
            file(12, u32::MAX, &[0xff], &[0]),
            file(3, 1, &[0; 7], &[]),
            file(27, 1, &[0; 8], &[]),
        ] {
            assert!(Enumeration::parse(&wrong).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Enumeration::parse(&bytes);
        }
    }
}
