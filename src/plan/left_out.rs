//! What an input has that the joins leave out, by name.

use super::Plan;
use super::planner::Planner;
use crate::source::Note;
use crate::survey::Survey;

impl Planner<'_> {
    /// What an input has that the join leaves out.
    pub(super) fn left_out_by_joins(&self, survey: &Survey, plan: &Plan) -> Vec<Note> {
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
}
