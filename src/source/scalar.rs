//! The types of numbers: all of them, and those that a table takes in some place.

use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

/// The type of a number, wherever there is one: in an input, in a plan or in a table. Booleans are
/// stored as bytes 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScalarType {
    /// Boolean, stored as one byte.
    Bool,
    /// Signed 8-bit integer.
    Int8,
    /// Signed 16-bit integer.
    Int16,
    /// Signed 32-bit integer.
    Int32,
    /// Signed 64-bit integer.
    Int64,
    /// Unsigned 8-bit integer.
    UInt8,
    /// Unsigned 16-bit integer.
    UInt16,
    /// Unsigned 32-bit integer.
    UInt32,
    /// Unsigned 64-bit integer.
    UInt64,
    /// 16-bit (half-precision) float.
    Float16,
    /// 32-bit float.
    Float32,
    /// 64-bit float.
    Float64,
}

impl ScalarType {
    /// All types.
    pub const ALL: [Self; 12] = [
        ScalarType::Bool,
        ScalarType::Int8,
        ScalarType::Int16,
        ScalarType::Int32,
        ScalarType::Int64,
        ScalarType::UInt8,
        ScalarType::UInt16,
        ScalarType::UInt32,
        ScalarType::UInt64,
        ScalarType::Float16,
        ScalarType::Float32,
        ScalarType::Float64,
    ];

    /// Size of one number in bytes.
    pub fn size(self) -> usize {
        match self {
            ScalarType::Bool | ScalarType::Int8 | ScalarType::UInt8 => 1,
            ScalarType::Int16 | ScalarType::UInt16 | ScalarType::Float16 => 2,
            ScalarType::Int32 | ScalarType::UInt32 | ScalarType::Float32 => 4,
            ScalarType::Int64 | ScalarType::UInt64 | ScalarType::Float64 => 8,
        }
    }

    /// Returns the type of a column of such numbers.
    pub fn arrow(self) -> DataType {
        match self {
            ScalarType::Bool => DataType::Boolean,
            ScalarType::Int8 => DataType::Int8,
            ScalarType::Int16 => DataType::Int16,
            ScalarType::Int32 => DataType::Int32,
            ScalarType::Int64 => DataType::Int64,
            ScalarType::UInt8 => DataType::UInt8,
            ScalarType::UInt16 => DataType::UInt16,
            ScalarType::UInt32 => DataType::UInt32,
            ScalarType::UInt64 => DataType::UInt64,
            ScalarType::Float16 => DataType::Float16,
            ScalarType::Float32 => DataType::Float32,
            ScalarType::Float64 => DataType::Float64,
        }
    }

    /// Returns the type of the numbers of a column; `None` if it has no numbers.
    pub fn of_arrow(data_type: &DataType) -> Option<Self> {
        let mut all = ScalarType::ALL.into_iter();
        all.find(|scalar| scalar.arrow() == *data_type)
    }

    /// Whether the type holds only integers.
    pub fn is_integer(self) -> bool {
        !matches!(
            self,
            ScalarType::Bool | ScalarType::Float16 | ScalarType::Float32 | ScalarType::Float64
        )
    }
}

impl std::fmt::Display for ScalarType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ScalarType::Bool => "bool",
            ScalarType::Int8 => "int8",
            ScalarType::Int16 => "int16",
            ScalarType::Int32 => "int32",
            ScalarType::Int64 => "int64",
            ScalarType::UInt8 => "uint8",
            ScalarType::UInt16 => "uint16",
            ScalarType::UInt32 => "uint32",
            ScalarType::UInt64 => "uint64",
            ScalarType::Float16 => "float16",
            ScalarType::Float32 => "float32",
            ScalarType::Float64 => "float64",
        })
    }
}

/// Declares an enum of some of the scalar types, for what cannot have any other.
macro_rules! scalar_subset {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident { $($(#[$doc:meta])* $variant:ident),* $(,)? }
    ) => {
        $(#[$attribute])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$doc])* $variant),*
        }

        impl $name {
            /// All types.
            pub const ALL: &[Self] = &[$($name::$variant),*];

            /// Returns the type of a column of such numbers.
            pub fn arrow(self) -> arrow::datatypes::DataType {
                $crate::source::ScalarType::from(self).arrow()
            }

            /// Returns the type of the numbers of a column; `None` if it has no such numbers.
            pub fn of_arrow(data_type: &arrow::datatypes::DataType) -> Option<Self> {
                let mut all = Self::ALL.iter().copied();
                all.find(|one| one.arrow() == *data_type)
            }
        }

        impl From<$name> for $crate::source::ScalarType {
            fn from(one: $name) -> Self {
                match one {
                    $($name::$variant => $crate::source::ScalarType::$variant),*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::source::ScalarType::from(*self).fmt(f)
            }
        }
    };
}
pub(crate) use scalar_subset;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_one_name_everywhere() {
        for scalar in ScalarType::ALL {
            let json = serde_json::to_string(&scalar).unwrap();
            assert_eq!(json, format!("\"{scalar}\""));
            assert_eq!(ScalarType::of_arrow(&scalar.arrow()), Some(scalar));
        }
        assert_eq!(ScalarType::of_arrow(&DataType::Utf8), None);
    }

    scalar_subset! {
        /// Types of which two are left.
        pub enum Few {
            /// One.
            UInt8,
            /// Another.
            Float64,
        }
    }

    #[test]
    fn a_subset_has_the_names_of_the_whole() {
        for few in Few::ALL {
            let json = serde_json::to_string(few).unwrap();
            assert_eq!(json, format!("\"{}\"", ScalarType::from(*few)));
            assert_eq!(few.to_string(), ScalarType::from(*few).to_string());
            assert_eq!(Few::of_arrow(&few.arrow()), Some(*few));
        }
        assert_eq!(Few::of_arrow(&DataType::UInt16), None);
    }
}
