//! How inputs go together, without refusing any.

use std::path::PathBuf;

use rustc_hash::FxHashSet;
use serde::Serialize;

use super::join::described;
use super::joined_genes::proposals;
use super::kinds::united;
use super::planner::Planner;
use super::{
    BaseSurvey, GeneJoin, GeneKey, Plan, PlanError, PlanOptions, PlannedInput, not_counts,
};
use crate::source::{Column, ColumnKind, Format, Inputs};
use crate::survey::{Scale, Survey, ValueType};

/// Inputs beside each other, and beside the dataset that they would be appended to.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// By what genes are joined.
    pub gene_key: GeneKey,
    pub inputs: Vec<ComparedInput>,
    /// Cells and genes of the dataset that would be the result; `None` where it is refused.
    pub result: Option<[u64; 2]>,
    /// The type of the values that would be written.
    pub value_type: Option<ValueType>,
    /// Options under which more genes would be shared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proposals: Vec<String>,
    /// Why the inputs are refused, with what helps.
    pub refusal: Option<String>,
}

/// An input beside the dataset, or the first input.
#[derive(Debug, Clone, Serialize)]
pub struct ComparedInput {
    pub path: PathBuf,
    pub source_file: String,
    pub format: Format,
    pub cells: u64,
    /// Entries of the main matrix, where the headers tell.
    pub entries: Option<u64>,
    pub genes: GeneJoin,
    /// What a user should know before it is converted.
    pub warnings: Vec<String>,
    /// The narrowest type that is exact for a sample of the values.
    pub value_type: Option<ValueType>,
    /// On what scale the values are, as far as a sample tells.
    pub scale: Scale,
    /// Likewise for each layer, by what it is called in the input.
    pub layer_scales: Vec<(String, Scale)>,
    /// Cells whose identifier an earlier cell of the input has.
    pub repeated_cells: u64,
    /// Cells whose identifier the dataset or an earlier input has.
    pub known_cells: u64,
    /// Columns of obs and var (`obs/NAME`) that the dataset or the first input has alone, or this
    /// input.
    pub missing_columns: Vec<String>,
    pub extra_columns: Vec<String>,
    /// Columns of types that have nothing in common.
    pub clashes: Vec<Clash>,
}

/// A column whose types have nothing in common.
#[derive(Debug, Clone, Serialize)]
pub struct Clash {
    pub column: String,
    pub found: String,
    pub expected: String,
}

impl Comparison {
    /// Compares inputs as [`Plan::new`] and [`Plan::append`] would join them.
    ///
    /// # Errors
    /// Where an input cannot be read, or genes cannot be compared at all.
    pub fn new(
        inputs: &Inputs,
        surveys: &[Survey],
        options: &PlanOptions,
        base: Option<&BaseSurvey>,
    ) -> Result<Self, PlanError> {
        let planned = match base {
            None => Plan::new(inputs, surveys, options),
            Some(base) => Plan::append(inputs, surveys, options, base),
        };
        let planner = Planner {
            inputs,
            surveys,
            options,
            base,
        };
        let gene_key = planner.gene_key();
        let joined = planner.genes()?;
        let proposals = proposals(&planner, &joined.joins);
        let genes = joined.joins.into_iter().zip(joined.warnings);
        let mut known = base.map_or_else(FxHashSet::default, |base| base.cells_again.clone());
        let first = first_columns(surveys, base);
        let mut compared = Vec::new();
        for (number, (survey, (genes, warnings))) in surveys.iter().zip(genes).enumerate() {
            let description = &survey.description;
            let own = columns_of(&description.obs, &description.var);
            let hashes = &survey.cell_hashes;
            let known_cells = hashes.iter().filter(|hash| known.contains(*hash)).count();
            known.extend(hashes);
            let lacks = |columns: &[(String, ColumnKind)], name: &String| {
                columns.iter().all(|(other, _)| other != name)
            };
            let only = |these: &[(String, ColumnKind)], those: &[(String, ColumnKind)]| {
                let names = these.iter().map(|(name, _)| name.clone());
                names.filter(|name| lacks(those, name)).collect::<Vec<_>>()
            };
            compared.push(ComparedInput {
                path: description.path.clone(),
                source_file: inputs.options(number).name_of(&description.path),
                format: description.format,
                cells: description.n_obs,
                entries: description.x.entries,
                genes,
                warnings: all_warnings(
                    survey,
                    &warnings,
                    planned.as_ref().ok().map(|plan| &plan.inputs[number]),
                ),
                value_type: ValueType::ALL
                    .into_iter()
                    .find(|&value_type| survey.main.exact.contains(value_type)),
                scale: survey.main.scale,
                layer_scales: layer_scales(survey),
                repeated_cells: survey.repeated_cells.count,
                known_cells: known_cells as u64,
                missing_columns: only(&first, &own),
                extra_columns: only(&own, &first),
                clashes: clashes(&first, &own),
            });
        }
        Ok(Comparison {
            proposals,
            gene_key,
            inputs: compared,
            result: planned.as_ref().ok().map(|plan| [plan.cells, plan.genes]),
            value_type: planned.as_ref().ok().map(|plan| plan.value.value_type),
            refusal: planned.err().map(|error| crate::error::in_one_line(&error)),
        })
    }
}

fn layer_scales(survey: &Survey) -> Vec<(String, Scale)> {
    let layers = survey.description.layers.iter().zip(&survey.layers);
    layers
        .map(|(matrix, survey)| (matrix.object.clone(), survey.scale))
        .collect()
}

/// What is to be said of an input and its genes, and of how it was planned.
fn all_warnings(
    survey: &Survey,
    of_genes: &[String],
    planned: Option<&PlannedInput>,
) -> Vec<String> {
    let mut warnings = match planned {
        Some(planned) => planned.warnings.clone(),
        None => [&survey.description.warnings[..], of_genes].concat(),
    };
    let scale = survey.main.scale;
    warnings.extend(not_counts(&survey.description.x.object, &scale, &warnings));
    warnings
}

fn columns_of(obs: &[Column], var: &[Column]) -> Vec<(String, ColumnKind)> {
    let named = |part: &str, columns: &[Column]| -> Vec<(String, ColumnKind)> {
        let columns = columns.iter();
        columns
            .map(|column| (format!("{part}/{}", column.name), column.kind.clone()))
            .collect()
    };
    [named("obs", obs), named("var", var)].concat()
}

fn first_columns(surveys: &[Survey], base: Option<&BaseSurvey>) -> Vec<(String, ColumnKind)> {
    match (base, surveys.first()) {
        (Some(base), _) => {
            let named = |part: &str, columns: &[super::PlannedColumn]| {
                let columns = columns.iter();
                columns
                    .map(|column| (format!("{part}/{}", column.column), column.kind.clone()))
                    .collect::<Vec<_>>()
            };
            [named("obs", &base.obs), named("var", &base.var)].concat()
        }
        (None, Some(first)) => columns_of(&first.description.obs, &first.description.var),
        (None, None) => Vec::new(),
    }
}

fn clashes(first: &[(String, ColumnKind)], own: &[(String, ColumnKind)]) -> Vec<Clash> {
    let mut clashes = Vec::new();
    for (name, found) in own {
        let mut first = first.iter().filter(|(other, _)| other == name);
        if let Some((_, expected)) = first.next()
            && united(expected, found).is_none()
        {
            clashes.push(Clash {
                column: name.clone(),
                found: described(found),
                expected: described(expected),
            });
        }
    }
    clashes
}
