//! The genes of an input or a dataset, as far as a join asks who they are.

use arrow::array::{Array, StringArray};

use crate::source::stable_id::{StableId, without_version};

/// Who the genes of a list are. Cheap to copy.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneList {
    /// What each gene is called by the key of the join: its name, or its value in a column.
    keys: StringArray,
    /// The identifier of each gene that has one, beside its name; `None` where genes are joined by a
    /// column, or none has any.
    ids: Option<StringArray>,
}

/// Whether versions of Ensembl identifiers tell genes apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdVersions {
    #[default]
    Keep,
    Strip,
}

impl IdVersions {
    /// For files that say nothing of it.
    pub fn is_default(&self) -> bool {
        *self == IdVersions::Keep
    }
}

impl GeneList {
    /// Genes that are known by a column alone.
    pub fn of_column(keys: StringArray) -> Self {
        GeneList { keys, ids: None }
    }

    /// Genes that have names, and perhaps identifiers: an empty one is none, and a name that is an
    /// identifier of Ensembl counts as one.
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

    /// How many genes there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What the genes are called.
    pub fn keys(&self) -> &StringArray {
        &self.keys
    }

    pub(super) fn key(&self, gene: usize) -> &str {
        self.keys.value(gene)
    }

    pub(super) fn id(&self, gene: usize) -> Option<&str> {
        let ids = self.ids.as_ref()?;
        ids.is_valid(gene).then(|| ids.value(gene))
    }

    /// The list without the versions of Ensembl identifiers, if these do not tell genes apart.
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
