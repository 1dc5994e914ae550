//! The genes of a job's dataset, and the input that describes each of them.

use arrow::array::StringArray;

use super::IngestError;
use super::contents::identities;
use crate::chunk::{GeneIdentity, IdHash};
use crate::dataset::{Dataset, gene_hashes, gene_identities};
use crate::plan::{GeneIndex, GeneList, GenePlan, KeyReader, Plan, PlanError};
use crate::source::blocks::RowBlocks;
use crate::source::{CellSource, Inputs, Reindex};

/// Genes that one input is the first to have.
pub(super) struct Described {
    /// Position of the input.
    pub input: usize,
    /// Their positions in the input, in the order of the dataset.
    pub genes: Genes,
}

/// A selection of an input's genes.
pub(super) enum Genes {
    /// All of its genes.
    All,
    /// The genes at these positions.
    These(Vec<u32>),
}

/// The genes of the dataset that a job makes.
pub(super) struct DatasetGenes<'a> {
    /// `None` if the dataset has the genes of a single input.
    index: Option<GeneIndex>,
    keys: KeyReader<'a>,
    /// For each input that adds genes, the genes that it describes.
    pub described: Vec<Described>,
    /// Hash of each gene's identifier.
    pub hashes: Vec<IdHash>,
    /// Identity of each gene, independent of the input.
    pub identities: Vec<GeneIdentity>,
}

impl<'a> DatasetGenes<'a> {
    /// Looks up the genes of all inputs that add any, and of the dataset that is appended to.
    pub fn of(
        inputs: &'a Inputs,
        plan: &Plan,
        before: Option<&Dataset>,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<Self, IngestError> {
        let key = &plan.gene_plan.key;
        let versions = plan.gene_plan.id_versions;
        let keys = KeyReader::new(inputs, key.clone(), versions);
        if plan.inputs.is_empty() {
            return Ok(DatasetGenes {
                index: None,
                keys,
                described: Vec::new(),
                hashes: Vec::new(),
                identities: match before {
                    Some(before) => runtime.block_on(gene_identities(before))?,
                    None => Vec::new(),
                },
            });
        }
        let keys_of = |number: usize| keys.keys(number, plan.inputs[number].gene_list.as_deref());
        if !plan.is_joined() {
            let first = inputs.get(0)?;
            return Ok(DatasetGenes {
                index: None,
                keys,
                described: vec![Described {
                    input: 0,
                    genes: Genes::All,
                }],
                hashes: hashes(&*first, &Genes::All)?,
                identities: identities(&*first, &Genes::All)?,
            });
        }
        let GenePlan { keys: all, ids, .. } = &plan.gene_plan;
        let list = match (all, before) {
            (Some(all), _) => {
                let all = StringArray::from_iter_values(all);
                match ids {
                    Some(ids) => GeneList::of_names(all, Some(ids)),
                    None => GeneList::of_column(all),
                }
            }
            (None, Some(before)) => {
                let list = runtime.block_on(before.list_of_genes(key))?;
                list.under(versions)
            }
            (None, None) => keys_of(0)?,
        };
        let index = GeneIndex::new(list, key);
        let mut all_described = Vec::new();
        let mut all_hashes = match before {
            Some(before) => runtime.block_on(gene_hashes(before))?,
            None => Vec::new(),
        };
        let mut all_identities = match before {
            Some(before) => runtime.block_on(gene_identities(before))?,
            None => Vec::new(),
        };
        // With an outer join, later inputs add genes after the existing ones.
        let adding = plan.inputs_with_new_genes().len();
        for (number, input) in plan.inputs.iter().enumerate().take(adding) {
            let source = inputs.get(number)?;
            let keys = keys_of(number)?;
            let map = index.map(&input.path, &keys)?;
            let known = all_hashes.len() as u32;
            let new = match map {
                Reindex::Identity if known == 0 => Genes::All,
                map => {
                    let mut new: Vec<(u32, u32)> = (0u32..)
                        .take(keys.len())
                        .filter_map(|gene| Some((map.get(gene)?, gene)))
                        .filter(|(place, _)| *place >= known)
                        .collect();
                    new.sort_unstable();
                    Genes::These(new.into_iter().map(|(_, gene)| gene).collect())
                }
            };
            all_hashes.extend(hashes(&*source, &new)?);
            all_identities.extend(identities(&*source, &new)?);
            all_described.push(Described {
                input: number,
                genes: new,
            });
        }
        Ok(DatasetGenes {
            index: Some(index),
            keys,
            described: all_described,
            hashes: all_hashes,
            identities: all_identities,
        })
    }

    /// Maps the genes of an input to those of the dataset.
    pub fn map(&self, plan: &Plan, number: usize) -> Result<Reindex, PlanError> {
        match &self.index {
            None => Ok(Reindex::Identity),
            Some(index) => {
                let input = &plan.inputs[number];
                let keys = self.keys.keys(number, input.gene_list.as_deref())?;
                index.map(&input.path, &keys)
            }
        }
    }
}

fn hashes(source: &dyn CellSource, genes: &Genes) -> Result<Vec<IdHash>, PlanError> {
    let mut all = Vec::new();
    let mut blocks = RowBlocks::new(0..source.description().n_vars, 1);
    while let Some((_, ids)) = blocks.read(|rows| source.var_names(rows))? {
        blocks.held(ids.values().len() as u64);
        all.extend(IdHash::of_all(&ids));
    }
    Ok(match genes {
        Genes::All => all,
        Genes::These(genes) => genes.iter().map(|&gene| all[gene as usize]).collect(),
    })
}
