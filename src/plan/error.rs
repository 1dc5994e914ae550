//! Why a job cannot be planned.

use std::path::PathBuf;

use crate::source::SourceError;
use crate::survey::ValueType;

/// A refusal to plan a job.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The identifiers of the chosen types do not suffice.
    #[error("{path}: {count} {what} do not fit {id_type} identifiers (at most {most}); {help}")]
    TooMany {
        path: PathBuf,
        what: &'static str,
        count: u64,
        id_type: &'static str,
        most: u64,
        help: &'static str,
    },
    /// Some values are exact in no type that may be used.
    #[error(
        "{path}: {object}: none of {candidates} holds every value exactly (such as {value}); {help}"
    )]
    NoExactType {
        path: PathBuf,
        object: String,
        /// The types that may be used.
        candidates: String,
        value: String,
        help: String,
    },
    /// Lists of this width cannot be written.
    #[error(
        "{path}: {part}/{name}: lists of {width} numbers cannot be written; leave it out with --skip {part}:{name}"
    )]
    EmbeddingWidth {
        path: PathBuf,
        part: &'static str,
        name: String,
        width: u64,
    },
    /// A forced type does not hold a value.
    #[error(
        "{path}: {object}: not every value fits {forced}, which --value-type forces ({value} does not); leave it out to take the narrowest exact type"
    )]
    ForcedTypeTooNarrow {
        path: PathBuf,
        object: String,
        forced: ValueType,
        value: String,
    },
    /// The two options exclude each other.
    #[error(
        "--value-type {forced} does not go with --dtypes signed, which writes float32, int32 or float64"
    )]
    ForcedTypeNotSigned { forced: ValueType },
}
