//! What identifies the genes of an input or a dataset in a join.

use arrow::array::{Array, StringArray};

use crate::source::stable_id::{StableId, without_version};

/// Keys and identifiers of a list of genes. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneList {
    /// Key of each gene in the join: its name, or its value in a column.
    keys: StringArray,
    /// Identifier of each gene, in addition to its name, if it has one; `None` if genes are joined
    /// by a column or no gene has an identifier.
    ids: Option<StringArray>,
}

/// Whether versions of Ensembl identifiers distinguish genes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdVersions {
    /// Versions distinguish genes.
    #[default]
    Keep,
    /// Versions are ignored.
    Strip,
}

impl IdVersions {
    /// Whether this is the default, which is omitted when serialized.
    pub fn is_default(&self) -> bool {
        *self == IdVersions::Keep
    }
}

impl GeneList {
    /// Creates a list of genes identified by a column only.
    pub fn of_column(keys: StringArray) -> Self {
        GeneList { keys, ids: None }
    }

    /// Creates a list of genes that have names and possibly identifiers. An empty identifier counts
    /// as missing, and a name that is an Ensembl identifier serves as one.
    pub fn of_names<T: AsRef<str>>(names: StringArray, ids: Option<&Vec<Option<T>>>) -> Self {
        let own = |gene: usize| -> Option<&str> {
            let id = ids?.get(gene)?.as_ref()?.as_ref();
            (!id.is_empty()).then_some(id)
        };
        let id = |gene: usize| {
            let name = names.value(gene);
            own(gene).or_else(|| StableId::parse(name).map(|_| name))
        };
        let ids: StringArray = (0..names.len()).map(id).collect();
        GeneList {
            ids: (ids.null_count() < ids.len()).then_some(ids),
            keys: names,
        }
    }

    /// Number of genes.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Keys of the genes.
    pub fn keys(&self) -> &StringArray {
        &self.keys
    }

    /// Returns the key of a gene.
    pub(super) fn key(&self, gene: usize) -> &str {
        self.keys.value(gene)
    }

    /// Returns the identifier of a gene, if it has one.
    pub(super) fn id(&self, gene: usize) -> Option<&str> {
        let ids = self.ids.as_ref()?;
        ids.is_valid(gene).then(|| ids.value(gene))
    }

    /// Returns the list without versions of Ensembl identifiers, if these do not distinguish genes.
    pub fn under(self, versions: IdVersions) -> Self {
        let stripped = |texts: StringArray| -> StringArray {
            let texts = texts.iter();
            texts.map(|text| text.map(without_version)).collect()
        };
        match versions {
            IdVersions::Keep => self,
            IdVersions::Strip => GeneList {
                keys: stripped(self.keys),
                ids: self.ids.map(stripped),
            },
        }
    }
}
