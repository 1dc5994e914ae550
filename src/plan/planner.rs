//! Makes a plan from surveys.

use std::path::Path;

use super::join::{self, JoinedMatrix};
use super::{
    Base, BaseMatrix, BaseSurvey, Duplicates, IdType, PLAN_VERSION, Plan, PlanError, PlanOptions,
    PlannedInput, PlannedLayer, PlannedPairs, Table, ValuePlan, Widening, cells, extras,
};
use crate::source::{Description, Inputs, MatrixDescription, MatrixName, Originals, ScalarType};
use crate::survey::Survey;

impl Plan {
    /// Decides how inputs become a dataset.
    ///
    /// # Errors
    /// [`PlanError`] if inputs are incompatible, are too large for the chosen identifiers, or
    /// contain values that fit no type; reading errors of the inputs.
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

    /// Decides how inputs are appended to a dataset, which keeps its types, names and order. The
    /// dataset's types and compression take precedence over those in the options.
    ///
    /// # Errors
    /// As [`Plan::new`]; also if the dataset's types do not hold what the inputs have, unless
    /// [`PlanOptions::widening`] allows rewriting them.
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

/// Everything that a plan is made from.
pub(super) struct Planner<'a> {
    /// The inputs.
    pub inputs: &'a Inputs,
    /// The survey of each input.
    pub surveys: &'a [Survey],
    /// The user's options.
    pub options: &'a PlanOptions,
    /// The dataset to append to.
    pub base: Option<&'a BaseSurvey>,
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
        let cells = self.surveys.iter().map(|survey| survey.description.n_obs);
        let cells = cells.fold(first_cell, u64::saturating_add);
        let cell_type = options.dtypes.cell_type(path, cells)?;
        let joined = self.genes()?;
        if let Some(refusal) = joined.refusal {
            return Err(refusal);
        }
        let (gene_plan, genes) = (joined.plan, joined.count);
        let gene_key = gene_plan.key.clone();
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
        // Matrices of genes × genes refer to the genes of one input and make no sense for several.
        let varp = match (self.surveys, self.base) {
            ([_], None) => self.matrices("varp", MatrixName::Varp, |survey| {
                (&survey.description.varp, &survey.varp)
            })?,
            _ => Vec::new(),
        };
        let value = self.value()?;
        let obs = self.frame(Table::Obs, genes)?;
        let var = self.frame(Table::Var, genes)?;
        let of_genes = joined.joins.into_iter().zip(joined.warnings);

        let kept_layers = self.base.map_or(&[][..], |base| &base.layers);
        let mut planned_layers = Vec::new();
        let other_layers = self.base.map_or(&[][..], |base| &base.other_layers);
        let names = extras::layer_names(&layers, kept_layers, other_layers);
        for (joined, written_as) in layers.iter().zip(names) {
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
                scale: kept.and_then(|kept| kept.scale),
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
            duplicate_sources: options.duplicate_sources,
            mixed_scales: options.mixed_scales,
            same_counts: options.same_counts,
            uns: self.base.is_none() && self.surveys.iter().any(|survey| survey.description.uns),
            obs: obs.columns,
            var: var.columns,
            shards: Vec::new(),
            frames: Vec::new(),
            inputs: Vec::new(),
        };
        let mut next = first_cell;
        let layer_names: Vec<String> = layers.iter().map(|layer| layer.name.clone()).collect();
        let scale_warnings = self.check_scales(&layer_names)?;
        for (number, (survey, of_genes)) in self.surveys.iter().zip(of_genes).enumerate() {
            let (gene_join, gene_warnings) = of_genes;
            let of_input = |matrices: &[JoinedMatrix]| -> Vec<MatrixDescription> {
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
                format: description.format.clone(),
                open: self.inputs.options(number),
                fingerprint: survey.fingerprint.clone(),
                main: description.x.clone(),
                layers: of_input(&layers),
                obsp: of_input(&obsp),
                varp: of_input(&varp),
                cells: next..next + description.n_obs,
                gene_join,
                gene_list: gene_key.digest_in(&survey.gene_lists),
                converted: [&description.converted[..], &survey.uns_converted].concat(),
                left_out,
                warnings: [
                    &description.warnings[..],
                    &gene_warnings,
                    &scale_warnings[number],
                ]
                .concat(),
                originals: with_embeddings(description),
                repeated_cells: survey.repeated_cells.clone(),
                repeated_genes: survey.repeated_genes.clone(),
                scale: Some(survey.main.scale),
                layer_scales: layer_names
                    .iter()
                    .map(|name| survey.scale_of_layer(name))
                    .collect(),
            });
            next += description.n_obs;
        }
        plan.shards = self.shards(&plan)?;
        let genes = self.surveys.iter().map(|survey| survey.description.n_vars);
        plan.frames = plan.frame_shards(&genes.collect::<Vec<_>>());
        Ok(plan)
    }

    /// Returns an identifier type that holds all genes, for a table that has type `has`.
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

    /// Returns the type of the values of the main matrices.
    fn value(&self) -> Result<ValuePlan, PlanError> {
        let mains: Vec<_> = self.surveys.iter().map(|survey| &survey.main).collect();
        let survey = join::together(&mains);
        let (dtypes, forced) = (self.options.dtypes, self.options.value_type);
        let widest = self.base.map(|base| base.value_type).or(forced);
        let widest = widest.or_else(|| dtypes.value_types().last().copied());
        // The error names the input that has the offending values.
        let stands_in_the_way =
            |survey: &&Survey| widest.is_some_and(|widest| !survey.main.exact.contains(widest));
        let named = self.surveys.iter().find(stands_in_the_way);
        let described = &named.unwrap_or(&self.surveys[0]).description;
        let (path, main) = (&described.path, &described.x);
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

    /// Returns the type of a layer or pairwise matrix that the dataset has.
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
}

/// What an input knows of how it was, and the types of embeddings that may be written in another.
fn with_embeddings(description: &Description) -> Originals {
    let mut originals = description.originals.clone();
    for (frame, embeddings) in [
        (&mut originals.obs, &description.obsm),
        (&mut originals.var, &description.varm),
    ] {
        for embedding in embeddings {
            // Float32 is what they are written as by default.
            if embedding.number_type != ScalarType::Float32 {
                let known = frame.embeddings.entry(embedding.name.clone());
                known.or_insert(embedding.number_type);
            }
        }
    }
    originals
}
