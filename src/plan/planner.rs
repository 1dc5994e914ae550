//! From surveys to a plan.

use std::path::Path;

use super::join::{self, JoinedMatrix, Rule, Take};
use super::shard::{Cut, Cutter};
use super::{
    Base, BaseMatrix, BaseSurvey, Duplicates, IdType, Join, PLAN_VERSION, Plan,
    PlanError, PlanOptions, PlannedColumn, PlannedEmbedding, PlannedInput, PlannedLayer,
    PlannedPairs, Shard, ShardTable, Table, ValuePlan, Widening, cells, columns, continued,
    extras,
};
use crate::source::{Inputs, Matrix, MatrixName, Note};
use crate::survey::Survey;

impl Plan {
    /// Decides how inputs become a dataset.
    ///
    /// # Errors
    /// [`PlanError`] when inputs do not go together, are too large for the chosen identifiers, or
    /// hold values that fit no type; reading errors of the inputs.
    pub fn new(
        inputs: &Inputs,
        surveys: &[Survey],
        options: &PlanOptions,
    ) -> Result<Self, PlanError> {
        let planner = Planner {
            inputs,
            surveys,
            options,
            base: None,
        };
        planner.plan()
    }

    /// Decides how inputs are appended to a dataset, which keeps its types, names and order. What
    /// the options say of types and compression is the dataset's.
    ///
    /// # Errors
    /// As [`Plan::new`]; also where the dataset's types do not hold what the inputs have, unless
    /// [`PlanOptions::widening`] allows to rewrite them.
    pub fn append(
        inputs: &Inputs,
        surveys: &[Survey],
        options: &PlanOptions,
        base: &BaseSurvey,
    ) -> Result<Self, PlanError> {
        let options = PlanOptions {
            dtypes: base.dtypes,
            compression: base.compression,
            value_type: None,
            ..options.clone()
        };
        let planner = Planner {
            inputs,
            surveys,
            options: &options,
            base: Some(base),
        };
        planner.plan()
    }
}

pub(super) struct Planner<'a> {
    pub inputs: &'a Inputs,
    pub surveys: &'a [Survey],
    pub options: &'a PlanOptions,
    /// The dataset that is appended to.
    pub base: Option<&'a BaseSurvey>,
}

/// A frame of the dataset: columns, then embeddings.
struct Frame {
    columns: Vec<PlannedColumn>,
    embeddings: Vec<PlannedEmbedding>,
}

impl Planner<'_> {
    fn plan(&self) -> Result<Plan, PlanError> {
        let options = self.options;
        let first = self.surveys.first().ok_or(PlanError::NoInput)?;
        let path = &first.description.path;
        if options.duplicate_sources == Duplicates::Refuse {
            cells::check_sources(self.surveys, self.base)?;
        }
        if options.duplicate_cells == Duplicates::Refuse {
            if self.surveys.len() > 1 {
                cells::check_cells(self.inputs, self.surveys)?;
            }
            if let Some(base) = self.base {
                cells::check_against(self.inputs, self.surveys, base)?;
            }
        }
        let first_cell = self.base.map_or(0, |base| base.base.cells);
        let cells = self.surveys.iter().map(|survey| survey.description.cells);
        let cells = cells.fold(first_cell, u64::saturating_add);
        let cell_type = options.dtypes.cell_type(path, cells)?;
        let (gene_plan, genes, gene_joins) = self.genes()?;
        let gene_type = match self.base {
            None => options.dtypes.gene_type(path, genes)?,
            Some(base) => self.gene_type(path, genes, base.gene_type)?,
        };
        let layer_ids = match self.base.and_then(|base| base.layer_ids) {
            None => None,
            Some([cells, of_genes]) => Some([cells, self.gene_type(path, genes, of_genes)?]),
        };

        let layers = self.matrices("layers", MatrixName::Layer, |survey| {
            (&survey.description.layers, &survey.layers)
        })?;
        let obsp = self.matrices("obsp", MatrixName::Obsp, |survey| {
            (&survey.description.obsp, &survey.obsp)
        })?;
        // What belongs to the genes of one input has no place among those of several.
        let varp = match (self.surveys, self.base) {
            ([_], None) => self.matrices("varp", MatrixName::Varp, |survey| {
                (&survey.description.varp, &survey.varp)
            })?,
            _ => Vec::new(),
        };
        let value = self.value(path, &first.description.main)?;
        let obs = self.frame(Table::Obs, genes)?;
        let var = self.frame(Table::Var, genes)?;

        let kept_layers = self.base.map_or(&[][..], |base| &base.layers);
        let mut planned_layers = Vec::new();
        for (joined, written_as) in layers.iter().zip(extras::layer_names(&layers, kept_layers)) {
            let kept = kept_layers.iter().find(|kept| kept.name == joined.name);
            let matrix = &joined.matrices[0];
            let value = match kept {
                Some(kept) => self.continued(kept, options.dtypes.value_types(), joined)?,
                None => ValuePlan::new(path, options.dtypes, None, matrix, &joined.survey)?,
            };
            planned_layers.push(PlannedLayer {
                name: joined.name.clone(),
                written_as,
                value,
            });
        }
        let pairs = |matrices: &[JoinedMatrix], kept: &[BaseMatrix]| {
            let written = extras::pair_names(matrices, kept);
            let pairs = matrices.iter().zip(written);
            pairs
                .map(|(joined, written_as)| {
                    let value = match kept.iter().find(|kept| kept.name == joined.name) {
                        Some(kept) => self.continued(kept, &ValuePlan::OF_PAIRS, joined)?,
                        None => ValuePlan::of_pairs(path, &joined.matrices[0], &joined.survey)?,
                    };
                    Ok(PlannedPairs {
                        name: joined.name.clone(),
                        written_as,
                        value,
                    })
                })
                .collect::<Result<Vec<_>, PlanError>>()
        };
        let mut plan = Plan {
            plan_version: PLAN_VERSION,
            base: self.base.map(|base| Base {
                widening: options.widening,
                ..base.base.clone()
            }),
            cells,
            genes,
            gene_plan,
            dtypes: options.dtypes,
            cell_type,
            gene_type,
            layer_ids,
            value,
            layers: planned_layers,
            compression: options.compression,
            fragment_rows: options.fragment_rows,
            obsm: obs.embeddings,
            varm: var.embeddings,
            obsp: pairs(&obsp, self.base.map_or(&[][..], |base| &base.obsp))?,
            varp: pairs(&varp, &[])?,
            uns: self.base.is_none() && self.surveys.iter().any(|survey| survey.description.uns),
            obs: obs.columns,
            var: var.columns,
            shards: Vec::new(),
            inputs: Vec::new(),
        };
        let mut next = first_cell;
        for (number, (survey, gene_join)) in self.surveys.iter().zip(gene_joins).enumerate() {
            let of_input = |matrices: &[JoinedMatrix]| -> Vec<Matrix> {
                matrices
                    .iter()
                    .map(|joined| joined.matrices[number].clone())
                    .collect()
            };
            let description = &survey.description;
            let mut left_out = [&description.left_out[..], &survey.uns_left_out].concat();
            left_out.extend(self.left_out_by_joins(survey, &plan));
            plan.inputs.push(PlannedInput {
                path: description.path.clone(),
                source_file: self.inputs.options(number).name_of(&description.path),
                format: description.format,
                open: self.inputs.options(number),
                fingerprint: survey.fingerprint.clone(),
                main: description.main.clone(),
                layers: of_input(&layers),
                obsp: of_input(&obsp),
                varp: of_input(&varp),
                cells: next..next + description.cells,
                gene_join,
                converted: [&description.converted[..], &survey.uns_converted].concat(),
                left_out,
                warnings: description.warnings.clone(),
                repeated_cells: survey.repeated_cells.clone(),
                repeated_genes: survey.repeated_genes.clone(),
            });
            next += description.cells;
        }
        plan.shards = self.shards(&plan)?;
        Ok(plan)
    }

    /// Identifiers that hold all genes, for a table that has these.
    fn gene_type(&self, path: &Path, genes: u64, has: IdType) -> Result<IdType, PlanError> {
        match self.options.widening {
            _ if genes <= has.capacity() => Ok(has),
            Widening::Allow => self.options.dtypes.gene_type(path, genes),
            Widening::Refuse => Err(PlanError::GeneIdsFull {
                path: path.to_path_buf(),
                genes,
                id_type: has,
            }),
        }
    }

    /// The type of the values of the main matrices.
    fn value(&self, path: &Path, main: &Matrix) -> Result<ValuePlan, PlanError> {
        let mains: Vec<_> = self.surveys.iter().map(|survey| &survey.main).collect();
        let survey = join::together(&mains);
        let (dtypes, forced) = (self.options.dtypes, self.options.value_type);
        match self.base {
            None => ValuePlan::new(path, dtypes, forced, main, &survey),
            Some(base) => ValuePlan::continued(
                path,
                base.value_type,
                self.options.widening,
                dtypes.value_types(),
                main,
                &survey,
            ),
        }
    }

    /// The type of a layer, or of pairs, that the dataset has.
    fn continued(
        &self,
        kept: &BaseMatrix,
        family: &[crate::survey::ValueType],
        joined: &JoinedMatrix,
    ) -> Result<ValuePlan, PlanError> {
        let (path, matrix) = (&self.surveys[0].description.path, &joined.matrices[0]);
        let (has, widening) = (kept.value_type, self.options.widening);
        ValuePlan::continued(path, has, widening, family, matrix, &joined.survey)
    }

    /// What an inner join takes, in words.
    pub(super) fn inner(&self) -> &'static str {
        match self.base {
            None => "what all have",
            Some(_) => "only what the dataset has",
        }
    }

    fn rule(&self, part: &'static str, join: Join, flag: &'static str) -> Rule {
        let take = match join {
            Join::Exact => Take::Same,
            Join::Outer => Take::All,
            Join::Inner if self.base.is_some() => Take::OfFirst,
            Join::Inner => Take::Common,
        };
        let inner = self.inner();
        Rule {
            take,
            part,
            flag,
            inner,
        }
    }

    /// A part of each input, with its path.
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

    fn matrices<'s>(
        &'s self,
        part: &'static str,
        name: impl Fn(String) -> MatrixName,
        of: impl Fn(&'s Survey) -> (&'s Vec<Matrix>, &'s Vec<crate::survey::MatrixSurvey>),
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

    /// The columns and embeddings of cells or genes. `genes` are those of the dataset.
    fn frame(&self, table: Table, genes: u64) -> Result<Frame, PlanError> {
        let (part, lists, join, flag) = match table {
            Table::Obs => ("obs", "obsm", self.options.obs_join, "obs-join"),
            Table::Var => ("var", "varm", self.options.var_join, "var-join"),
        };
        if let Some(base) = self.base
            && table == Table::Var
            && genes == base.base.genes
        {
            // Genes that are there already stay as they are described.
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
        let rule = self.rule(part, join, flag);
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
                Table::Obs => description.cells,
                Table::Var => description.genes,
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
        let taken: Vec<String> = kept.iter().map(|kept| kept.written_as.clone()).collect();
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

    /// What an input has that the join leaves out.
    fn left_out_by_joins(&self, survey: &Survey, plan: &Plan) -> Vec<Note> {
        let mut notes = Vec::new();
        let description = &survey.description;
        let mut note = |part: &str, name: &str, kept: bool, reason: &str| {
            if !kept {
                let object = format!("{part}/{name}");
                notes.push(Note::new(object.trim_end_matches('/'), reason));
            }
        };
        const INNER: &str = "another input lacks it (--obs-join or --var-join outer keeps it)";
        const KNOWN: &str = "all genes are in the dataset, which describes them already";
        if self.base.is_some() && description.uns {
            note("uns", "", false, "the dataset keeps its own");
        }
        let no_new_genes = self.base.is_some_and(|base| base.base.genes == plan.genes);
        let of_genes = if no_new_genes { KNOWN } else { INNER };
        for column in &description.obs {
            let kept = plan.obs.iter().any(|planned| planned.column == column.name);
            note("obs", &column.name, kept, INNER);
        }
        for column in &description.var {
            let kept = plan.var.iter().any(|planned| planned.column == column.name);
            note("var", &column.name, kept, of_genes);
        }
        for layer in &description.layers {
            let kept = plan
                .layers
                .iter()
                .any(|planned| planned.name == layer.name.key());
            note("layers", layer.name.key(), kept, INNER);
        }
        for embedding in &description.obsm {
            let kept = plan
                .obsm
                .iter()
                .any(|planned| planned.name == embedding.name);
            note("obsm", &embedding.name, kept, INNER);
        }
        for embedding in &description.varm {
            let kept = plan
                .varm
                .iter()
                .any(|planned| planned.name == embedding.name);
            note("varm", &embedding.name, kept, of_genes);
        }
        for pairs in &description.obsp {
            let kept = plan
                .obsp
                .iter()
                .any(|planned| planned.name == pairs.name.key());
            note("obsp", pairs.name.key(), kept, INNER);
        }
        for pairs in &description.varp {
            let kept = plan
                .varp
                .iter()
                .any(|planned| planned.name == pairs.name.key());
            let reason = "it belongs to the genes of one of several inputs";
            note("varp", pairs.name.key(), kept, reason);
        }
        notes
    }

    fn shards(&self, plan: &Plan) -> Result<Vec<Shard>, PlanError> {
        let mut cutters: Vec<Cutter> = Vec::new();
        for table in ShardTable::ALL {
            let entries = (0..self.surveys.len()).map(|number| self.entries(plan, number, table));
            let entries = entries.fold(0, u64::saturating_add);
            cutters.push(Cutter::new(table, entries, plan.fragment_rows));
        }
        for number in 0..self.surveys.len() {
            let source = self.inputs.get(number)?;
            let description = source.description();
            for (cutter, table) in cutters.iter_mut().zip(ShardTable::ALL) {
                let matrices: Vec<&Matrix> = plan.inputs[number].matrices(table).iter().collect();
                if matrices.is_empty() {
                    continue;
                }
                let there = |matrix: &&&Matrix| matrix.is_readable();
                cutter.add_input(&Cut {
                    source: &*source,
                    input: number,
                    matrices: matrices.iter().filter(there).copied().collect(),
                    rows: match table {
                        ShardTable::GenePairs => description.genes,
                        _ => description.cells,
                    },
                    entries: self.entries(plan, number, table),
                })?;
            }
        }
        Ok(cutters.into_iter().flat_map(Cutter::finish).collect())
    }

    /// Entries of all matrices of a table in one input, as expected.
    fn entries(&self, plan: &Plan, number: usize, table: ShardTable) -> u64 {
        let survey = &self.surveys[number];
        let of = |name: &MatrixName| {
            let description = &survey.description;
            let all = [
                (&description.layers, &survey.layers),
                (&description.obsp, &survey.obsp),
                (&description.varp, &survey.varp),
            ];
            let found = all.iter().find_map(|(matrices, surveys)| {
                let place = matrices.iter().position(|matrix| matrix.name == *name)?;
                Some(surveys[place].expected_entries)
            });
            match name {
                MatrixName::Main => survey.main.expected_entries,
                _ => found.unwrap_or(0),
            }
        };
        let matrices = plan.inputs[number].matrices(table).iter();
        matrices.fold(0, |sum: u64, matrix| sum.saturating_add(of(&matrix.name)))
    }
}
