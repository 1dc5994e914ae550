//! The shards of a plan.

use super::planner::Planner;
use super::shard::{Cut, ShardPartitioner};
use super::{Plan, PlanError, Shard, ShardTable};
use crate::source::{MatrixDescription, MatrixName};

impl Planner<'_> {
    /// Returns the shards of all tables of the inputs.
    pub(super) fn shards(&self, plan: &Plan) -> Result<Vec<Shard>, PlanError> {
        let mut cutters: Vec<ShardPartitioner> = Vec::new();
        for table in ShardTable::ALL {
            let entries = (0..self.surveys.len()).map(|number| self.entries(plan, number, table));
            let entries = entries.fold(0, u64::saturating_add);
            cutters.push(ShardPartitioner::new(table, entries, plan.fragment_rows));
        }
        for number in 0..self.surveys.len() {
            let source = self.inputs.get(number)?;
            let description = source.description();
            for (partitioner, table) in cutters.iter_mut().zip(ShardTable::ALL) {
                let matrices: Vec<&MatrixDescription> =
                    plan.inputs[number].matrices(table).iter().collect();
                if matrices.is_empty() {
                    continue;
                }
                let there = |matrix: &&&MatrixDescription| matrix.is_readable();
                partitioner.add_input(&Cut {
                    source: &*source,
                    input: number,
                    matrices: matrices.iter().filter(there).copied().collect(),
                    rows: match table {
                        ShardTable::Varp => description.n_vars,
                        _ => description.n_obs,
                    },
                    entries: self.entries(plan, number, table),
                })?;
            }
        }
        Ok(cutters
            .into_iter()
            .flat_map(ShardPartitioner::finish)
            .collect())
    }

    /// Expected number of entries of all matrices of a table in one input.
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
                MatrixName::X => survey.main.expected_entries,
                _ => found.unwrap_or(0),
            }
        };
        let matrices = plan.inputs[number].matrices(table).iter();
        matrices.fold(0, |sum: u64, matrix| sum.saturating_add(of(&matrix.name)))
    }
}
