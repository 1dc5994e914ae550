//! Checks the scales of matrices that are combined.

use std::path::Path;

use super::planner::Planner;
use super::{MixedScales, PlanError};
use crate::source::tells_of_raw_counts;
use crate::survey::{Agreement, Scale};

/// A matrix that is combined with others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScaledMatrix<'a> {
    /// Path of its input.
    pub path: &'a Path,
    /// Name of the matrix in its input.
    pub object: &'a str,
    /// Its scale.
    pub scale: Scale,
}

impl ScaledMatrix<'_> {
    fn named(&self) -> String {
        format!("{}: {} ({})", self.path.display(), self.object, self.scale)
    }
}

/// Refuses matrices of different scales. Returns the positions of those whose scale may or may not
/// agree, and of the one they are compared with.
pub(crate) fn check(
    matrices: &[ScaledMatrix<'_>],
    mixed: MixedScales,
) -> Result<Option<(usize, Vec<usize>)>, PlanError> {
    let Some(first) = matrices.iter().position(|matrix| matrix.scale.is_known()) else {
        return Ok(None);
    };
    let known = &matrices[first];
    let mut doubtful = Vec::new();
    for (number, matrix) in matrices.iter().enumerate() {
        match known.scale.agreement(&matrix.scale) {
            Agreement::Different if mixed == MixedScales::Refuse => {
                return Err(PlanError::ScalesDiffer {
                    path: matrix.path.to_path_buf(),
                    object: matrix.object.to_string(),
                    scale: matrix.scale,
                    first: known.named(),
                });
            }
            Agreement::Different | Agreement::Doubtful => doubtful.push(number),
            Agreement::Same => {}
        }
    }
    Ok(Some((first, doubtful)))
}

/// Returns a warning about a main matrix that does not contain counts, unless there is one already.
pub(crate) fn not_counts(object: &str, scale: &Scale, warnings: &[String]) -> Option<String> {
    if scale.is_of_counts() || tells_of_raw_counts(warnings) {
        return None;
    }
    Some(if scale.is_known() {
        format!("{object} is not counts, but {scale}")
    } else {
        format!("{object} is not counts, and its scale is unknown")
    })
}

impl Planner<'_> {
    /// Checks the scales of the main matrices and of the layers of these names. Returns the
    /// warnings for each input.
    pub(super) fn check_scales(&self, layers: &[String]) -> Result<Vec<Vec<String>>, PlanError> {
        let mut warnings = vec![Vec::new(); self.surveys.len()];
        let mut main = Vec::new();
        if let Some(base) = self.base {
            main.push((None, "expression".to_string(), base.base.scale));
        }
        for (number, survey) in self.surveys.iter().enumerate() {
            let object = survey.description.x.object.clone();
            main.push((Some(number), object, Some(survey.main.scale)));
        }
        self.check_one(&main, &mut warnings)?;
        for layer in layers {
            let mut same = Vec::new();
            if let Some(base) = self.base {
                let known = base.layers.iter().find(|known| known.name == *layer);
                same.extend(known.map(|known| (None, format!("layers/{layer}"), known.scale)));
            }
            for (number, survey) in self.surveys.iter().enumerate() {
                let own = survey.description.layers.iter().zip(&survey.layers);
                let mut own = own.filter(|(matrix, _)| matrix.name.key() == layer);
                let own = own.next();
                same.extend(own.map(|(m, s)| (Some(number), m.object.clone(), Some(s.scale))));
            }
            self.check_one(&same, &mut warnings)?;
        }
        Ok(warnings)
    }

    fn check_one(
        &self,
        same: &[(Option<usize>, String, Option<Scale>)],
        warnings: &mut [Vec<String>],
    ) -> Result<(), PlanError> {
        let path = |input: &Option<usize>| match (input, self.base) {
            (Some(number), _) => self.surveys[*number].description.path.as_path(),
            (None, Some(base)) => base.path.as_path(),
            (None, None) => Path::new(""),
        };
        let matrices: Vec<ScaledMatrix<'_>> = same
            .iter()
            .map(|(input, object, scale)| ScaledMatrix {
                path: path(input),
                object,
                scale: scale.unwrap_or(Scale::UNKNOWN),
            })
            .collect();
        let Some((first, doubtful)) = check(&matrices, self.options.mixed_scales)? else {
            return Ok(());
        };
        for number in doubtful {
            let (matrix, known) = (&matrices[number], &matrices[first]);
            let (input, other) = match same[number].0 {
                Some(input) => (input, known),
                // No warnings about the dataset itself: what is appended is on a scale that it may
                // lack.
                None => match same[first].0 {
                    Some(input) => (input, matrix),
                    None => continue,
                },
            };
            let own = if same[number].0.is_some() {
                matrix
            } else {
                known
            };
            let doubt = match own.scale.agreement(&other.scale) {
                Agreement::Different => "is on another scale than",
                _ => "may be on another scale than",
            };
            let (object, scale) = (own.object, own.scale);
            warnings[input].push(format!("{object} ({scale}) {doubt} {}", other.named()));
        }
        Ok(())
    }
}
