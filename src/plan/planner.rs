//! From surveys to a plan.

use std::path::Path;

use super::genes::{check_exact, has_key_column};
use super::join::{self, JoinedMatrix, Rule};
use super::shard::{Cut, Cutter};
use super::{
    Duplicates, GeneIndex, GeneJoin, GeneKey, GenePlan, Join, PLAN_VERSION, Plan, PlanError,
    PlanOptions, PlannedInput, PlannedLayer, PlannedPairs, STABLE_IDS, Shard, ShardTable, Table,
    ValuePlan, cells, columns, extras, gene_keys,
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
        };
        planner.plan()
    }
}

struct Planner<'a> {
    inputs: &'a Inputs,
    surveys: &'a [Survey],
    options: &'a PlanOptions,
}

impl Planner<'_> {
    fn plan(&self) -> Result<Plan, PlanError> {
        let options = self.options;
        let first = self.surveys.first().ok_or(PlanError::NoInput)?;
        let path = &first.description.path;
        if options.duplicate_sources == Duplicates::Refuse {
            cells::check_sources(self.surveys)?;
        }
        if options.duplicate_cells == Duplicates::Refuse && self.surveys.len() > 1 {
            cells::check_cells(self.inputs, self.surveys)?;
        }
        let cells = self.surveys.iter().map(|survey| survey.description.cells);
        let cells = cells.fold(0, u64::saturating_add);
        let cell_type = options.dtypes.cell_type(path, cells)?;
        let (gene_plan, genes, gene_joins) = self.genes()?;
        let gene_type = options.dtypes.gene_type(path, genes)?;

        let layers = self.matrices("layers", |survey| {
            (&survey.description.layers, &survey.layers)
        })?;
        let obsp = self.matrices("obsp", |survey| (&survey.description.obsp, &survey.obsp))?;
        // What belongs to the genes of one input has no place among those of several.
        let varp = match self.surveys {
            [_] => self.matrices("varp", |survey| (&survey.description.varp, &survey.varp))?,
            _ => Vec::new(),
        };
        let mains: Vec<_> = self.surveys.iter().map(|survey| &survey.main).collect();
        let value = ValuePlan::new(
            path,
            options.dtypes,
            options.value_type,
            &first.description.main,
            &join::together(&mains),
        )?;

        let obs = columns::named(&self.columns(Table::Obs)?, Table::Obs);
        let var = columns::named(&self.columns(Table::Var)?, Table::Var);
        let rule = self.rule("obsm", options.obs_join, "obs-join");
        let obsm = self.each(|s| (&s.description.obsm[..], &s.obsm[..]));
        let (obsm, obsm_types) = join::embeddings(rule, &obsm)?;
        let rule = self.rule("varm", options.var_join, "var-join");
        let varm = self.each(|s| (&s.description.varm[..], &s.varm[..]));
        let (varm, varm_types) = join::embeddings(rule, &varm)?;

        let names = |matrices: &[JoinedMatrix]| -> Vec<Matrix> {
            matrices
                .iter()
                .map(|joined| joined.matrices[0].clone())
                .collect()
        };
        let mut planned_layers = Vec::new();
        for (joined, written_as) in layers.iter().zip(extras::layer_names(&names(&layers))) {
            let value = ValuePlan::new(
                path,
                options.dtypes,
                None,
                &joined.matrices[0],
                &joined.survey,
            )?;
            planned_layers.push(PlannedLayer {
                name: joined.name.clone(),
                written_as,
                value,
            });
        }
        let pairs = |matrices: &[JoinedMatrix]| -> Result<Vec<PlannedPairs>, PlanError> {
            let written = extras::pair_names(&names(matrices));
            let pairs = matrices.iter().zip(written);
            pairs
                .map(|(joined, written_as)| {
                    Ok(PlannedPairs {
                        name: joined.name.clone(),
                        written_as,
                        value: ValuePlan::of_pairs(path, &joined.matrices[0], &joined.survey)?,
                    })
                })
                .collect()
        };
        let mut plan = Plan {
            plan_version: PLAN_VERSION,
            cells,
            genes,
            gene_plan,
            dtypes: options.dtypes,
            cell_type,
            gene_type,
            value,
            layers: planned_layers,
            compression: options.compression,
            fragment_rows: options.fragment_rows,
            obsm: extras::embeddings(path, &obsm, &obsm_types, Table::Obs, &obs)?,
            varm: extras::embeddings(path, &varm, &varm_types, Table::Var, &var)?,
            obsp: pairs(&obsp)?,
            varp: pairs(&varp)?,
            uns: self.surveys.iter().any(|survey| survey.description.uns),
            obs,
            var,
            shards: Vec::new(),
            inputs: Vec::new(),
        };
        let mut next = 0;
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

    /// The genes of the dataset, their number, and how each input's genes are these.
    fn genes(&self) -> Result<(GenePlan, u64, Vec<GeneJoin>), PlanError> {
        let path = |number: usize| -> &Path { &self.surveys[number].description.path };
        let join = self.options.join;
        let first = self.inputs.get(0)?;
        let key = match &self.options.gene_key {
            Some(key) => key.clone(),
            None => self.usual_key()?,
        };
        let mut index = GeneIndex::new(gene_keys(&*first, &key)?);
        let mut joins = vec![index.join(path(0), index.keys())?];
        for number in 1..self.surveys.len() {
            let source = self.inputs.get(number)?;
            let keys = gene_keys(&*source, &key)?;
            let joined = index.join(path(number), &keys)?;
            match join {
                Join::Exact => check_exact(path(number), path(0), &key, &joined)?,
                Join::Outer => index = index.extended(path(number), &keys)?,
                Join::Inner => index = index.reduced(path(number), &keys)?,
            }
            joins.push(joined);
        }
        if join == Join::Inner && self.surveys.len() > 1 {
            // Only now it is known which genes are left.
            for (number, joined) in joins.iter_mut().enumerate() {
                let keys = gene_keys(&*self.inputs.get(number)?, &key)?;
                *joined = index.join(path(number), &keys)?;
            }
        }
        let genes = index.len() as u64;
        let keys = match join {
            Join::Outer | Join::Inner if self.surveys.len() > 1 => {
                let keys = index.keys().iter();
                Some(
                    keys.map(|key| key.unwrap_or_default().to_string())
                        .collect(),
                )
            }
            _ => None,
        };
        Ok((GenePlan { join, key, keys }, genes, joins))
    }

    /// Identifiers that do not change with the annotation, where all inputs have them.
    fn usual_key(&self) -> Result<GeneKey, PlanError> {
        if self.surveys.len() < 2 {
            return Ok(GeneKey::Id);
        }
        for number in 0..self.surveys.len() {
            if !has_key_column(&*self.inputs.get(number)?, STABLE_IDS) {
                return Ok(GeneKey::Id);
            }
        }
        Ok(GeneKey::Column(STABLE_IDS.into()))
    }

    fn rule(&self, part: &'static str, join: Join, flag: &'static str) -> Rule {
        Rule { join, part, flag }
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
        of: impl Fn(&'s Survey) -> (&'s Vec<Matrix>, &'s Vec<crate::survey::MatrixSurvey>),
    ) -> Result<Vec<JoinedMatrix>, PlanError> {
        let rule = self.rule(part, self.options.obs_join, "obs-join");
        let inputs = self.each(|survey| {
            let (matrices, surveys) = of(survey);
            (&matrices[..], &surveys[..])
        });
        join::matrices(rule, &inputs)
    }

    fn columns(&self, table: Table) -> Result<Vec<crate::source::Column>, PlanError> {
        let (part, join, flag) = match table {
            Table::Obs => ("obs", self.options.obs_join, "obs-join"),
            Table::Var => ("var", self.options.var_join, "var-join"),
        };
        let inputs: Vec<_> = self
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
        join::columns(self.rule(part, join, flag), &inputs)
    }

    /// What an input has that the join leaves out.
    fn left_out_by_joins(&self, survey: &Survey, plan: &Plan) -> Vec<Note> {
        let mut notes = Vec::new();
        let description = &survey.description;
        let mut note = |part: &str, name: &str, kept: bool, reason: &str| {
            if !kept {
                notes.push(Note::new(format!("{part}/{name}"), reason));
            }
        };
        const INNER: &str = "another input lacks it (--obs-join or --var-join outer keeps it)";
        for column in &description.obs {
            let kept = plan.obs.iter().any(|planned| planned.column == column.name);
            note("obs", &column.name, kept, INNER);
        }
        for column in &description.var {
            let kept = plan.var.iter().any(|planned| planned.column == column.name);
            note("var", &column.name, kept, INNER);
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
            note("varm", &embedding.name, kept, INNER);
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
