//! Compares inputs without refusing any.

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

/// Comparison of inputs with each other and with the dataset they would be appended to.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
#[must_use]
pub struct Comparison {
    /// The key by which genes are joined.
    pub gene_key: GeneKey,
    /// The inputs, in the given order.
    pub inputs: Vec<ComparedInput>,
    /// Number of cells and genes of the resulting dataset; `None` if it would be refused.
    pub result: Option<[u64; 2]>,
    /// Type of the values that would be written.
    pub value_type: Option<ValueType>,
    /// Options that would let the inputs share more genes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proposals: Vec<String>,
    /// Why the inputs are refused, and how to resolve it.
    pub refusal: Option<String>,
}

/// An input compared with the dataset, or with the first input.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ComparedInput {
    /// Path of the input.
    pub path: PathBuf,
    /// Name of the input, as written to the column `source_file`.
    pub source_file: String,
    /// Format of the input.
    pub format: Format,
    /// Number of cells.
    pub cells: u64,
    /// Number of entries of the main matrix, if the headers give it.
    pub entries: Option<u64>,
    /// How its genes correspond to those of the dataset or the other inputs.
    pub genes: GeneJoin,
    /// Warnings for the user before conversion.
    pub warnings: Vec<String>,
    /// Narrowest type that holds a sample of the values exactly.
    pub value_type: Option<ValueType>,
    /// Scale of the values, as far as a sample shows.
    pub scale: Scale,
    /// Scale of each layer, with the layer's name in the input.
    pub layer_scales: Vec<(String, Scale)>,
    /// Number of cells whose identifier an earlier cell of the input has.
    pub repeated_cells: u64,
    /// Number of cells whose identifier the dataset or an earlier input has.
    pub known_cells: u64,
    /// Columns of obs and var (`obs/NAME`) that only the dataset or the first input has.
    pub missing_columns: Vec<String>,
    /// Columns of obs and var that only this input has.
    pub extra_columns: Vec<String>,
    /// Columns with incompatible types.
    pub clashes: Vec<Clash>,
}

/// A column with incompatible types.
#[derive(Debug, Clone, Serialize)]
pub struct Clash {
    /// Name of the column, as `obs/NAME` or `var/NAME`.
    pub column: String,
    /// Its type in this input.
    pub found: String,
    /// Its type in the dataset or the first input.
    pub expected: String,
}

impl Comparison {
    /// Compares inputs as [`Plan::new`] and [`Plan::append`] would join them.
    ///
    /// # Errors
    /// If an input cannot be read, or genes cannot be compared at all.
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
                format: description.format.clone(),
                cells: description.n_obs,
                entries: description.x.entries,
                genes,
                warnings: all_warnings(
                    survey,
                    &warnings,
                    planned.as_ref().ok().map(|plan| &plan.inputs[number]),
                ),
                value_type: ValueType::ALL
                    .iter()
                    .copied()
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
            refusal: planned
                .err()
                .map(|error| crate::failure::in_one_line(&error)),
        })
    }
}

fn layer_scales(survey: &Survey) -> Vec<(String, Scale)> {
    let layers = survey.description.layers.iter().zip(&survey.layers);
    layers
        .map(|(matrix, survey)| (matrix.object.clone(), survey.scale))
        .collect()
}

/// Returns all warnings about an input, its genes, and how it is planned.
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
