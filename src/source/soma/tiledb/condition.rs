//! Delete conditions (format_spec/delete_commit_file.md). Only libtiledb's source documents the
//! test for membership in a list, and that conditions are stored negated, that is, they hold for
//! the cells that stay.

use std::cmp::Ordering;

use super::cursor::Cursor;
use super::fault::{Checked, Fault};

/// Conditions nested deeper than this are considered damaged.
const DEEPEST: usize = 64;

/// A condition on the fields of a cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Field(Comparison),
}

/// Comparison of a field with one or several values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comparison {
    /// Name of the field.
    pub field: String,
    /// The operator.
    pub operator: Operator,
    /// The values as stored; several values are sorted by their bytes.
    pub values: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    In,
    NotIn,
}

impl Operator {
    fn parse(code: u8) -> Checked<Self> {
        Ok(match code {
            0 => Operator::Less,
            1 => Operator::LessOrEqual,
            2 => Operator::Greater,
            3 => Operator::GreaterOrEqual,
            4 => Operator::Equal,
            5 => Operator::NotEqual,
            6 => Operator::In,
            7 => Operator::NotIn,
            _ => {
                return Err(Fault::unsupported(format!(
                    "the comparison {code} of a delete"
                )));
            }
        })
    }

    /// Whether the comparison holds for two values in this order; `None` means they are not ordered
    /// (NaN).
    pub fn holds(self, ordering: Option<Ordering>) -> bool {
        match (self, ordering) {
            (Operator::NotEqual, None) => true,
            (_, None) => false,
            (Operator::Less, Some(order)) => order.is_lt(),
            (Operator::LessOrEqual, Some(order)) => order.is_le(),
            (Operator::Greater, Some(order)) => order.is_gt(),
            (Operator::GreaterOrEqual, Some(order)) => order.is_ge(),
            (Operator::Equal | Operator::In, Some(order)) => order.is_eq(),
            (Operator::NotEqual | Operator::NotIn, Some(order)) => order.is_ne(),
        }
    }
}

impl Condition {
    /// Parses the content of a delete's tile.
    pub fn parse(bytes: &[u8]) -> Checked<Self> {
        let mut cursor = Cursor::new(bytes);
        let condition = Condition::node(&mut cursor, 0)?;
        cursor.finish("a delete condition")?;
        Ok(condition)
    }

    fn node(cursor: &mut Cursor<'_>, depth: usize) -> Checked<Self> {
        if depth > DEEPEST {
            return Err(Fault::damaged("a condition that lies too deep"));
        }
        match cursor.u8()? {
            0 => {
                let combination = cursor.u8()?;
                let count = cursor.u64()?;
                let count = cursor.count(count, 10)?;
                let children = (0..count).map(|_| Condition::node(cursor, depth + 1));
                let mut children = children.collect::<Checked<Vec<_>>>()?;
                match (combination, children.len()) {
                    (0, 1..) => Ok(Condition::All(children)),
                    (1, 1..) => Ok(Condition::Any(children)),
                    (2, 1) => Ok(Condition::Not(Box::new(children.remove(0)))),
                    _ => Err(Fault::unsupported(format!(
                        "the combination {combination} of {count} conditions"
                    ))),
                }
            }
            1 => Comparison::parse(cursor).map(Condition::Field),
            other => Err(Fault::unsupported(format!(
                "a condition of the type {other}"
            ))),
        }
    }

    /// Collects the fields that a condition uses.
    pub fn fields<'a>(&'a self, found: &mut Vec<&'a str>) {
        match self {
            Condition::All(children) | Condition::Any(children) => {
                children.iter().for_each(|child| child.fields(found));
            }
            Condition::Not(child) => child.fields(found),
            Condition::Field(comparison) => {
                if !found.contains(&comparison.field.as_str()) {
                    found.push(&comparison.field);
                }
            }
        }
    }
}

impl Comparison {
    fn parse(cursor: &mut Cursor<'_>) -> Checked<Self> {
        let operator = Operator::parse(cursor.u8()?)?;
        let field = cursor.text32()?;
        let length = cursor.length64()?;
        let data = cursor.take(length)?;
        if !matches!(operator, Operator::In | Operator::NotIn) {
            return Ok(Comparison {
                field,
                operator,
                values: vec![data.to_vec()],
            });
        }
        let size = cursor.length64()?;
        if !size.is_multiple_of(8) {
            return Err(Fault::damaged("the offsets of a list are cut short"));
        }
        let offsets = cursor.u64s(size / 8)?;
        let mut values = Vec::new();
        for (number, &start) in offsets.iter().enumerate() {
            let end = offsets.get(number + 1).copied().unwrap_or(length as u64);
            let value = usize::try_from(start)
                .ok()
                .zip(usize::try_from(end).ok())
                .and_then(|(start, end)| data.get(start..end))
                .ok_or_else(|| Fault::damaged("the offsets of a list do not fit its values"))?;
            values.push(value.to_vec());
        }
        // Sorted for binary search.
        values.sort();
        Ok(Comparison {
            field,
            operator,
            values,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn conditions_nest() {
        let leaf = |operator: u8| {
            let mut bytes = vec![1, operator];
            bytes.extend(1u32.to_le_bytes());
            bytes.push(b'a');
            bytes.extend(1u64.to_le_bytes());
            bytes.push(7);
            bytes
        };
        let mut bytes = vec![0, 0];
        bytes.extend(2u64.to_le_bytes());
        bytes.extend(leaf(0));
        bytes.extend(leaf(4));
        let Condition::All(children) = Condition::parse(&bytes).unwrap() else {
            panic!("both must hold");
        };
        assert_eq!(children.len(), 2);
        assert!(matches!(
            &children[1],
            Condition::Field(Comparison {
                operator: Operator::Equal,
                ..
            })
        ));
        assert!(Condition::parse(&leaf(9)).is_err());
        assert!(Condition::parse(&leaf(6)).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(0u8..3, 0..200)) {
            let _ = Condition::parse(&bytes);
        }
    }
}
