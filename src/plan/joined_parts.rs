//! Joins columns, embeddings, layers and pairwise matrices of the inputs and of the dataset that
//! they are appended to.

use std::path::Path;

use super::join::{self, JoinedMatrix, PartSelection, Rule};
use super::planner::Planner;
use super::{
    GeneKey, Join, PlanError, PlannedColumn, PlannedEmbedding, Table, Widening, columns, continued,
    extras,
};
use crate::source::{GENE_ID_VERSION, GENE_IDS_VERSION, MatrixDescription, MatrixName};
use crate::survey::{STABLE_IDS, Survey};

/// Columns of genes that are kept if any input has them: the identifiers of the genes, and the
/// identifiers including versions.
const ALWAYS: [&str; 3] = [STABLE_IDS, GENE_ID_VERSION, GENE_IDS_VERSION];

/// A frame of the dataset: columns and embeddings.
pub(super) struct Frame {
    /// Columns of obs or var.
    pub columns: Vec<PlannedColumn>,
    /// Embeddings, which are columns of the same table.
    pub embeddings: Vec<PlannedEmbedding>,
}

impl Planner<'_> {
    /// Describes in words what an inner join takes.
    pub(super) fn inner(&self) -> &'static str {
        match self.base {
            None => "what all have",
            Some(_) => "only what the dataset has",
        }
    }

    fn rule(&self, part: &'static str, join: Join, flag: &'static str) -> Rule<'_> {
        let take = match join {
            Join::Exact => PartSelection::Same,
            Join::Outer => PartSelection::All,
            Join::Inner if self.base.is_some() => PartSelection::OfFirst,
            Join::Inner => PartSelection::Common,
        };
        let inner = self.inner();
        Rule {
            take,
            optional: self.base.map_or(&[], |base| &base.of_others),
            part,
            flag,
            inner,
            always: &[],
        }
    }

    /// Returns a part of each input, with its path.
    fn each<'s, A: ?Sized, B: ?Sized>(
        &'s self,
        part: impl Fn(&'s Survey) -> (&'s A, &'s B),
    ) -> Vec<(&'s Path, &'s A, &'s B)> {
        let surveys = self.surveys.iter();
        surveys
            .map(|survey| {
                let (a, b) = part(survey);
                (survey.description.path.as_path(), a, b)
            })
            .collect()
    }

    pub(super) fn matrices<'s>(
        &'s self,
        part: &'static str,
        name: impl Fn(String) -> MatrixName,
        of: impl Fn(
            &'s Survey,
        ) -> (
            &'s Vec<MatrixDescription>,
            &'s Vec<crate::survey::MatrixSurvey>,
        ),
    ) -> Result<Vec<JoinedMatrix>, PlanError> {
        let rule = self.rule(part, self.options.obs_join, "obs-join");
        let mut inputs = self.each(|survey| {
            let (matrices, surveys) = of(survey);
            (&matrices[..], &surveys[..])
        });
        let Some(base) = self.base else {
            return join::matrices(rule, &inputs);
        };
        let kept = match part {
            "layers" => &base.layers,
            _ => &base.obsp,
        };
        let (matrices, surveys) = continued::matrices(kept, part, name);
        inputs.insert(0, (&base.path, &matrices, &surveys));
        let mut joined = join::matrices(rule, &inputs)?;
        for joined in &mut joined {
            joined.matrices.remove(0);
        }
        Ok(joined)
    }

    /// Joins the columns and embeddings of cells or genes. `genes` is the number of genes of the
    /// dataset.
    pub(super) fn frame(&self, table: Table, genes: u64) -> Result<Frame, PlanError> {
        let (part, lists, join, flag) = match table {
            Table::Obs => ("obs", "obsm", self.options.obs_join, "obs-join"),
            Table::Var => ("var", "varm", self.options.var_join, "var-join"),
        };
        if let Some(base) = self.base
            && table == Table::Var
            && genes == base.base.genes
        {
            // Existing genes keep their description.
            return Ok(Frame {
                columns: base.var.clone(),
                embeddings: base.varm.clone(),
            });
        }
        let path = &self.surveys[0].description.path;
        let columns: Vec<_> = self
            .surveys
            .iter()
            .map(|survey| {
                let description = &survey.description;
                let columns = match table {
                    Table::Obs => &description.obs,
                    Table::Var => &description.var,
                };
                (description.path.as_path(), &columns[..])
            })
            .collect();
        let mut lists_of = self.each(|survey| match table {
            Table::Obs => (&survey.description.obsm[..], &survey.obsm[..]),
            Table::Var => (&survey.description.varm[..], &survey.varm[..]),
        });
        let rule = Rule {
            always: match table {
                Table::Obs => &[],
                // Without it, the key by which genes were joined would be lost.
                Table::Var if join == Join::Inner && self.gene_key() == GeneKey::IdsOrNames => {
                    &ALWAYS
                }
                Table::Var => &ALWAYS[1..],
            },
            ..self.rule(part, join, flag)
        };
        let list_rule = self.rule(lists, join, flag);
        let Some(base) = self.base else {
            let columns = columns::named(&join::columns(rule, &columns)?, table, &[], &[]);
            let (joined, types) = join::embeddings(list_rule, &lists_of)?;
            return Ok(Frame {
                embeddings: extras::embeddings(path, &joined, &types, table, &columns, &[])?,
                columns,
            });
        };
        let fits = |number: usize, name: &str, kind: &_| {
            let source = self.inputs.get(number)?;
            let description = source.description();
            let rows = match table {
                Table::Obs => description.n_obs,
                Table::Var => description.n_vars,
            };
            let read = |source: &dyn crate::source::CellSource, rows| match table {
                Table::Obs => Ok(source.obs(rows)?),
                Table::Var => Ok(source.var(rows)?),
            };
            continued::all_fit(&*source, rows, read, name, kind)
        };
        let own = (base.path.as_path(), base.columns(table));
        let joined = continued::columns(rule, self.options.widening, own, &columns, fits)?;
        let kept = base.embeddings(table);
        let taken = kept.iter().map(|kept| kept.written_as.clone());
        let taken: Vec<String> = taken.chain(base.other_columns(table).to_vec()).collect();
        let columns = columns::named(&joined, table, base.columns(table), &taken);
        let (own, own_types) = continued::embeddings(kept);
        lists_of.insert(0, (&base.path, &own, &own_types));
        let (joined, types) = join::embeddings(list_rule, &lists_of)?;
        if self.options.widening == Widening::Refuse {
            continued::check_embeddings(path, lists, kept, &joined, &types)?;
        }
        Ok(Frame {
            embeddings: extras::embeddings(path, &joined, &types, table, &columns, kept)?,
            columns,
        })
    }
}
