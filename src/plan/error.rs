//! Reasons why a job cannot be planned.

use std::path::PathBuf;

use crate::failure::ErrorKind;
use crate::remedy::{Advice, Remedy, Setting};
use crate::source::SourceError;
use crate::source::blocks::TooLong;
use crate::survey::{Scale, ValueType};

/// Error of planning a job.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// An input cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There are more cells or genes than the chosen identifier type can number.
    #[error("{path}: {count} {what} do not fit {id_type} identifiers (at most {most}); {help}")]
    TooMany {
        /// The input with which there are too many.
        path: PathBuf,
        /// `cells` or `genes`.
        what: &'static str,
        /// Number of cells or genes of all inputs up to this one.
        count: u64,
        /// The identifier type, `int32` or `uint32`.
        id_type: &'static str,
        /// Largest number that the type allows.
        most: u64,
        /// What the user can do.
        help: Advice,
    },
    /// No allowed type holds all values exactly.
    #[error(
        "{path}: {object}: none of {candidates} holds every value exactly (such as {value}); {help}"
    )]
    NoExactType {
        /// The input.
        path: PathBuf,
        /// The matrix.
        object: String,
        /// The allowed types.
        candidates: String,
        /// A value that none of them holds, in decimal.
        value: String,
        /// What the user can do.
        help: Advice,
    },
    /// The inputs do not have the same genes.
    #[error(
        "{path} does not have the genes of {first} (by {key}): {missing} are missing{missing_examples}, {extra} are extra{extra_examples}; {}",
        self.advice()
    )]
    GenesDiffer {
        /// The input.
        path: PathBuf,
        /// The input, or the dataset, that it is compared with.
        first: PathBuf,
        /// What genes are compared by, such as `gene_id`.
        key: String,
        /// Number of genes that only the reference has.
        missing: u64,
        /// Some of them, in parentheses with a leading blank; empty if there are none.
        missing_examples: String,
        /// Number of genes that only this input has.
        extra: u64,
        /// Some of them, in parentheses with a leading blank; empty if there are none.
        extra_examples: String,
        /// What an inner join would keep.
        inner: &'static str,
    },
    /// A join key is that of two genes.
    #[error(
        "{path}: genes cannot be joined by {by}, since several of them have {key:?}; {}",
        self.advice()
    )]
    GeneTwice {
        /// The input.
        path: PathBuf,
        /// What genes are joined by.
        by: String,
        /// The key that several genes have.
        key: String,
    },
    /// Several genes of one list have the same name and are only distinguished by their order.
    #[error(
        "{path}: its gene {name:?} cannot be joined by name with those of {first}: several genes of {of} are called {repeated:?}, and a suffix such as -1 that was given by place tells them apart in one file only; {help}"
    )]
    GivenByPlace {
        /// The input.
        path: PathBuf,
        /// The input, or the dataset, whose genes it is joined with.
        first: PathBuf,
        /// The gene, by its name with the suffix.
        name: String,
        /// The file with the repeated name, and the name.
        of: PathBuf,
        /// The name without the suffix.
        repeated: String,
        /// What the user can do.
        help: Advice,
    },
    /// Genes would be joined by a name that belongs to genes with different identifiers.
    #[error(
        "{path}: its gene {name:?} cannot be joined by name: it has no identifier there, and gene_ids of the others differ, {one} in {first} and {other} in {second}; {}",
        self.advice()
    )]
    IdsDiffer {
        /// The input whose gene has no identifier.
        path: PathBuf,
        /// Name of the gene.
        name: String,
        /// Identifier of the gene of this name in `first`.
        one: String,
        /// An input that gives it an identifier.
        first: PathBuf,
        /// Identifier of the gene of this name in `second`.
        other: String,
        /// An input that gives it another identifier.
        second: PathBuf,
    },
    /// An inner join of inputs that have no genes in common.
    #[error(
        "{path} has none of the genes of {first} (by {key}): it has genes such as {own}, the other such as {others}; {}",
        self.advice()
    )]
    NothingShared {
        /// The input.
        path: PathBuf,
        /// The input, or the dataset, that it is compared with.
        first: PathBuf,
        /// What genes are compared by.
        key: String,
        /// Some genes of the input.
        own: String,
        /// Some genes of the other.
        others: String,
    },
    /// Two genes have the same identifier once versions are ignored.
    #[error(
        "{path}: without their versions, {one} and {other} are one gene; {}",
        self.advice()
    )]
    VersionsCollide {
        /// The input.
        path: PathBuf,
        /// Identifier of one gene, with its version.
        one: String,
        /// Identifier of the other.
        other: String,
    },
    /// The genes of the dataset were joined with versions ignored.
    #[error(
        "{path}: its genes were joined without the versions of their identifiers; {}",
        self.advice()
    )]
    VersionsStripped {
        /// The dataset.
        path: PathBuf,
    },
    /// The column by which genes are to be joined is missing.
    #[error(
        "{path}: var has no text column {column:?}, by which {} joins genes",
        Setting::any("gene-key")
    )]
    NoGeneKey {
        /// The input.
        path: PathBuf,
        /// Name of the missing column.
        column: String,
    },
    /// The inputs do not have the same columns, layers or embeddings.
    #[error(
        "{path} does not have what {first} has in {part}: {difference}; {}",
        self.advice()
    )]
    PartsDiffer {
        /// The input.
        path: PathBuf,
        /// The input, or the dataset, that it is compared with.
        first: PathBuf,
        /// The part that differs, such as `obs` or `layers`.
        part: &'static str,
        /// What is missing and what is extra, in words.
        difference: String,
        /// Name of the option that chooses the join of this part, such as `obs-join`.
        flag: &'static str,
        /// What an inner join would keep.
        inner: &'static str,
    },
    /// A column has incompatible types.
    #[error(
        "{path}: {part}/{name} is {found}, which no type holds together with {expected} of {first}; {}",
        self.advice()
    )]
    TypeClash {
        /// The input.
        path: PathBuf,
        /// The input, or the dataset, that has another type.
        first: PathBuf,
        /// `obs` or `var`.
        part: &'static str,
        /// Name of the column.
        name: String,
        /// Its type in the input.
        found: String,
        /// Its type in `first`.
        expected: String,
    },
    /// A column of the dataset cannot hold the values of an input.
    #[error(
        "{path}: {part}/{name} is {found}, and not every value fits {has}, as which the dataset has it; {}",
        self.advice()
    )]
    NeedsWidening {
        /// The input.
        path: PathBuf,
        /// `obs` or `var`.
        part: &'static str,
        /// Name of the column.
        name: String,
        /// Its type in the input.
        found: String,
        /// Its type in the dataset.
        has: String,
    },
    /// The identifier type of the dataset cannot number the new genes.
    #[error(
        "{path}: {genes} genes do not fit the {id_type} identifiers of the dataset; {}",
        self.advice()
    )]
    GeneIdsFull {
        /// The input.
        path: PathBuf,
        /// Number of genes of the dataset together with those of the input.
        genes: u64,
        /// The identifier type of the dataset.
        id_type: super::IdType,
    },
    /// The dataset lacks the column by which genes are to be joined.
    #[error(
        "{path}: var has no text column {column:?} with a value for each gene, by which {} joins genes",
        Setting::any("gene-key")
    )]
    NoBaseKey {
        /// The dataset.
        path: PathBuf,
        /// Name of the missing column.
        column: String,
    },
    /// Cells of two inputs have the same identifier.
    #[error(
        "{count} cells of {path} have the identifier of a cell of {first}, such as {example:?}; {}",
        self.advice()
    )]
    CellsTwice {
        /// The input.
        path: PathBuf,
        /// The input, or the dataset, that has the same identifiers.
        first: PathBuf,
        /// Number of cells of this input with such an identifier.
        count: u64,
        /// One of the identifiers.
        example: String,
    },
    /// An input is given twice.
    #[error("{path} is the same as {first}; {}", self.advice())]
    SourceTwice {
        /// The input.
        path: PathBuf,
        /// The same input, as it was given before.
        first: PathBuf,
    },
    /// The dataset already contains the input.
    #[error(
        "{path} is in the dataset already, as {first}; {}",
        self.advice()
    )]
    SourceAgain {
        /// The input.
        path: PathBuf,
        /// Its path when the dataset was written.
        first: PathBuf,
    },
    /// Values that would be combined in one column are on different scales.
    #[error(
        "{path}: {object} is {scale}, but that of {first}; {}",
        self.advice()
    )]
    ScalesDiffer {
        /// The input.
        path: PathBuf,
        /// The matrix.
        object: String,
        /// Its scale.
        scale: Scale,
        /// The matrix it would share a column with, and its scale.
        first: String,
    },
    /// No input was given.
    #[error("there is no input")]
    NoInput,
    /// Fixed-size lists of this width cannot be written.
    #[error(
        "{path}: {part}/{name}: lists of {width} numbers cannot be written; {}",
        self.advice()
    )]
    EmbeddingWidth {
        /// The input.
        path: PathBuf,
        /// `obsm` or `varm`.
        part: &'static str,
        /// Name of the embedding.
        name: String,
        /// Its number of columns.
        width: u64,
    },
    /// The forced type does not hold a value exactly.
    #[error(
        "{path}: {object}: not every value fits {forced}, which {} forces ({value} does not); {}",
        Setting::any("value-type"),
        self.advice()
    )]
    ForcedTypeTooNarrow {
        /// The input.
        path: PathBuf,
        /// The matrix.
        object: String,
        /// The forced type.
        forced: ValueType,
        /// A value that it does not hold, in decimal.
        value: String,
    },
    /// The two options exclude each other.
    #[error(
        "{} does not go with {}, which writes float32, int32 or float64",
        Setting::of("value-type", .forced),
        Setting::of("dtypes", "signed")
    )]
    ForcedTypeNotSigned {
        /// The forced type.
        forced: ValueType,
    },
}

impl PlanError {
    /// What a user can do about this error.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            PlanError::Source(error) => error.remedies(),
            error => error.advice().remedies().to_vec(),
        }
    }

    fn advice(&self) -> Advice {
        let using = |option, to: &'static str| Remedy::using(Setting::any(option), to);
        let join = |option: &'static str, inner: &str| -> Advice {
            let inner = format!("take {inner}");
            [
                Remedy::using(Setting::of(option, "outer"), "take all"),
                Remedy::using(Setting::of(option, "inner"), inner),
            ]
            .into()
        };
        match self {
            PlanError::TooMany { help, .. }
            | PlanError::NoExactType { help, .. }
            | PlanError::GivenByPlace { help, .. } => help.clone(),
            PlanError::GenesDiffer { inner, .. } => join("join", inner),
            PlanError::PartsDiffer { flag, inner, .. } => join(flag, inner),
            PlanError::GeneTwice { .. } => {
                using("gene-key", "join by a column of var that tells them apart").into()
            }
            PlanError::IdsDiffer { .. } => {
                let by_name = Setting::of("gene-key", "gene_id");
                Advice::from(using("gene-map", "give it an identifier"))
                    .or(using("genes", "choose other genes"))
                    .or(Remedy::using(by_name, "join by names all the same"))
            }
            PlanError::NothingShared { .. } => {
                let outer = Setting::of("join", "outer");
                Advice::from(using("gene-key", "join by a column that both have"))
                    .or(using("gene-map", "give genes the same identifiers"))
                    .or(Remedy::using(outer, "take all"))
            }
            PlanError::VersionsCollide { .. } => {
                let keep = Setting::of("gene-id-version", "keep");
                Remedy::using(keep, "tell them apart").into()
            }
            PlanError::VersionsStripped { .. } => Remedy::Omit {
                setting: Setting::of("gene-id-version", "keep"),
                to: "".into(),
            }
            .into(),
            PlanError::TypeClash { part, name, .. }
            | PlanError::EmbeddingWidth { part, name, .. } => {
                Remedy::skip(*part, name.as_str()).into()
            }
            PlanError::NeedsWidening { part, name, .. } => {
                let widen = using("widen", "rewrite the dataset's column in a wider type");
                Advice::from(widen).or(Remedy::skip(*part, name.as_str()))
            }
            PlanError::GeneIdsFull { .. } => {
                using("widen", "rewrite its tables with wider ones").into()
            }
            PlanError::CellsTwice { .. } => {
                let prefix = Setting::of("cell-id-prefix", "{source}_");
                Advice::from(Remedy::using(prefix, "tell them apart"))
                    .or(using("allow-duplicate-cells", "take them all the same"))
            }
            PlanError::SourceTwice { .. } => {
                using("allow-duplicate-source", "take it twice").into()
            }
            PlanError::SourceAgain { .. } => {
                using("allow-duplicate-source", "take it again").into()
            }
            PlanError::ScalesDiffer { .. } => {
                Advice::from(using("matrix", "choose a matrix on the same scale"))
                    .or(using("skip", "leave out a layer"))
                    .or(using("allow-mixed-scales", "take them all the same"))
            }
            PlanError::ForcedTypeTooNarrow { .. } => Remedy::Omit {
                setting: Setting::any("value-type"),
                to: "take the narrowest exact type".into(),
            }
            .into(),
            PlanError::Source(_)
            | PlanError::NoGeneKey { .. }
            | PlanError::NoBaseKey { .. }
            | PlanError::NoInput
            | PlanError::ForcedTypeNotSigned { .. } => Advice::default(),
        }
    }

    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            PlanError::Source(error) => error.kind(),
            PlanError::ForcedTypeNotSigned { .. } => ErrorKind::Usage,
            _ => ErrorKind::Refused,
        }
    }
}

impl TooLong for PlanError {
    fn is_too_long(&self) -> bool {
        matches!(self, PlanError::Source(error) if error.is_too_long())
    }
}
