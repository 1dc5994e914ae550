//! The type of the value column.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Dtypes, PlanError, Widening};
use crate::remedy::{Advice, Remedy, Setting};
use crate::source::{MatrixDescription, ScalarType};
use crate::survey::{MatrixSurvey, ValueType, ValueTypes};

/// The type of a matrix's values and how it was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValuePlan {
    /// Type in which the values are written.
    pub value_type: ValueType,
    /// Type that the sample suggested, or that was forced.
    pub guess: ValueType,
    /// Whether the user forced the type.
    pub forced: bool,
    /// Type in which the input stores the values.
    pub stored: ScalarType,
    /// Types to choose from, in order of preference.
    candidates: Vec<ValueType>,
    /// Types that are exact for all values seen so far.
    exact: ValueTypes,
    /// Types that were tried before, each with a value that did not fit.
    pub widened: Vec<Widened>,
}

/// A type that turned out to be too narrow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Widened {
    /// The type.
    pub from: ValueType,
    /// The value that did not fit, with its cell and gene.
    pub because: String,
}

impl ValuePlan {
    /// Chooses the type of a matrix of cells × genes.
    pub(super) fn new(
        path: &Path,
        dtypes: Dtypes,
        forced: Option<ValueType>,
        matrix: &MatrixDescription,
        survey: &MatrixSurvey,
    ) -> Result<Self, PlanError> {
        let exact = survey.exact;
        let misfit = |value_type| survey.misfits.get(&value_type).cloned().unwrap_or_default();
        let candidates = dtypes.value_types();
        match forced {
            Some(forced) if !candidates.contains(&forced) => {
                Err(PlanError::ForcedTypeNotSigned { forced })
            }
            Some(forced) if !exact.contains(forced) => Err(PlanError::ForcedTypeTooNarrow {
                path: path.to_path_buf(),
                object: matrix.object.clone(),
                forced,
                value: misfit(forced),
            }),
            _ => Self::choose(path, candidates, forced, matrix, survey),
        }
    }

    /// Chooses the type of a pairwise matrix; readers expect floats.
    pub(super) fn of_pairs(
        path: &Path,
        matrix: &MatrixDescription,
        survey: &MatrixSurvey,
    ) -> Result<Self, PlanError> {
        Self::choose(path, &Self::OF_PAIRS, None, matrix, survey)
    }

    /// Types that pairwise matrices may have.
    pub(super) const OF_PAIRS: [ValueType; 2] = [ValueType::Float32, ValueType::Float64];

    /// Chooses the type of a matrix that continues one of a dataset.
    pub(super) fn continued(
        path: &Path,
        has: ValueType,
        widening: Widening,
        family: &[ValueType],
        matrix: &MatrixDescription,
        survey: &MatrixSurvey,
    ) -> Result<Self, PlanError> {
        let mut wider = family.iter().copied();
        let wider: Vec<ValueType> = std::iter::once(has)
            .chain(wider.by_ref().filter(|&t| t != has && t.holds(has)))
            .collect();
        let candidates = match widening {
            Widening::Allow => &wider[..],
            Widening::Refuse => &wider[..1],
        };
        let chosen = Self::choose(path, candidates, None, matrix, survey);
        match chosen {
            // Report the dataset's type as the reason only if another type would do.
            Err(PlanError::NoExactType {
                path,
                object,
                candidates,
                value,
                ..
            }) if narrowest(&wider, survey.exact).is_some() => Err(PlanError::NoExactType {
                path,
                object,
                candidates,
                value,
                help: to_widen().into(),
            }),
            chosen => chosen,
        }
    }

    /// Returns the type of a matrix of a dataset to which nothing is added.
    pub(super) fn kept(has: ValueType) -> Self {
        ValuePlan {
            value_type: has,
            guess: has,
            forced: false,
            stored: ScalarType::Float32,
            candidates: vec![has],
            exact: ValueTypes::all(),
            widened: Vec::new(),
        }
    }

    fn choose(
        path: &Path,
        candidates: &[ValueType],
        forced: Option<ValueType>,
        matrix: &MatrixDescription,
        survey: &MatrixSurvey,
    ) -> Result<Self, PlanError> {
        let exact = survey.exact;
        let guess = forced.or_else(|| narrowest(candidates, exact));
        let guess = guess.ok_or_else(|| PlanError::NoExactType {
            path: path.to_path_buf(),
            object: matrix.object.clone(),
            help: skip_help(&matrix.object),
            candidates: candidates
                .iter()
                .map(ValueType::to_string)
                .collect::<Vec<_>>()
                .join(", "),
            // The last candidate is the widest.
            value: candidates
                .last()
                .and_then(|widest| survey.misfits.get(widest).cloned())
                .unwrap_or_default(),
        })?;
        Ok(ValuePlan {
            value_type: guess,
            guess,
            forced: forced.is_some(),
            stored: matrix.number_type,
            candidates: candidates.to_vec(),
            exact,
            widened: Vec::new(),
        })
    }

    /// Returns the plan as it was before anything was written.
    pub(super) fn as_guessed(&self) -> Self {
        ValuePlan {
            value_type: self.guess,
            exact: ValueTypes::all(),
            widened: Vec::new(),
            ..self.clone()
        }
    }

    /// Returns the plan after a value was found that only the types in `exact` hold; `None` if no
    /// allowed type holds all values.
    pub fn widen(&self, exact: ValueTypes, because: String) -> Option<Self> {
        if self.forced {
            return None;
        }
        let exact = self.exact & exact;
        let value_type = narrowest(&self.candidates, exact)?;
        let mut widened = self.widened.clone();
        widened.push(Widened {
            from: self.value_type,
            because,
        });
        Some(ValuePlan {
            value_type,
            exact,
            widened,
            ..self.clone()
        })
    }

    /// Explains the choice in a few words, for a summary.
    pub fn reason(&self) -> String {
        if self.forced {
            return "forced by --value-type".into();
        }
        match self.widened.last() {
            Some(widened) => format!(
                "exact for every value: {} did not fit {}",
                widened.because, widened.from
            ),
            None => "exact for every value".into(),
        }
    }
}

/// The remedy if only the types of the dataset that is appended to do not hold the values.
pub(crate) fn to_widen() -> Remedy {
    let to = "rewrite the dataset's values in a wider type";
    Remedy::using(Setting::any("widen"), to)
}

/// Returns advice for a matrix whose values no type holds.
fn skip_help(object: &str) -> Advice {
    match object.split_once('/') {
        Some((part @ ("layers" | "obsp" | "varp"), name)) => {
            Remedy::skip(part.to_string(), name).into()
        }
        _ => [
            Remedy::Other("round its values".into()),
            Remedy::using(Setting::any("matrix"), "convert another matrix"),
        ]
        .into(),
    }
}

fn narrowest(candidates: &[ValueType], exact: ValueTypes) -> Option<ValueType> {
    candidates
        .iter()
        .copied()
        .find(|&candidate| exact.contains(candidate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Layout, MatrixName, TypedVec};

    fn plan(
        dtypes: Dtypes,
        value_type: Option<ValueType>,
        sample: TypedVec,
    ) -> Result<ValuePlan, PlanError> {
        let survey = MatrixSurvey {
            exact: ValueTypes::exact_for(&sample),
            misfits: Default::default(),
            ..MatrixSurvey::of_nothing()
        };
        let matrix = MatrixDescription {
            name: MatrixName::X,
            object: "X".into(),
            layout: Layout::Csr,
            number_type: sample.number_type(),
            entries: None,
        };
        ValuePlan::new(Path::new("x"), dtypes, value_type, &matrix, &survey)
    }

    #[test]
    fn takes_the_first_exact_type() {
        let value_type = |dtypes, sample| plan(dtypes, None, sample).unwrap().value_type;
        let counts = || TypedVec::Float32(vec![1.0, 70_000.0]);
        assert_eq!(value_type(Dtypes::Narrow, counts()), ValueType::UInt32);
        assert_eq!(value_type(Dtypes::Signed, counts()), ValueType::Float32);
        let large = || TypedVec::Int64(vec![(1 << 24) + 1]);
        assert_eq!(value_type(Dtypes::Signed, large()), ValueType::Int32);
        assert_eq!(
            value_type(Dtypes::Narrow, TypedVec::Float64(vec![0.1])),
            ValueType::Float64
        );
        assert!(plan(Dtypes::Narrow, None, TypedVec::UInt64(vec![u64::MAX])).is_err());
    }

    #[test]
    fn widens_by_all_that_was_seen() {
        let plan = plan(Dtypes::Narrow, None, TypedVec::Float64(vec![16_777_217.0])).unwrap();
        assert_eq!(plan.value_type, ValueType::UInt32);
        // A half is exact in float32, but the value seen before is not.
        let half = ValueTypes::exact_for(&TypedVec::Float64(vec![0.5]));
        let widened = plan.widen(half, "0.5".into()).unwrap();
        assert_eq!(widened.value_type, ValueType::Float64);
        assert_eq!(widened.as_guessed().value_type, ValueType::UInt32);
        assert_eq!(widened.as_guessed(), plan.as_guessed());
    }

    #[test]
    fn a_forced_type_is_never_widened() {
        let forced = plan(
            Dtypes::Narrow,
            Some(ValueType::UInt16),
            TypedVec::Int8(vec![1]),
        )
        .unwrap();
        assert!(forced.widen(ValueTypes::all(), "x".into()).is_none());
        assert!(
            plan(
                Dtypes::Narrow,
                Some(ValueType::UInt16),
                TypedVec::Int8(vec![-1])
            )
            .is_err()
        );
        assert!(
            plan(
                Dtypes::Signed,
                Some(ValueType::UInt16),
                TypedVec::Int8(vec![1])
            )
            .is_err()
        );
    }
}
