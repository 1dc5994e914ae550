//! What the tables of a dataset do not show of its inputs.

use std::collections::BTreeMap;

use crate::plan::{Plan, PlannedInput};
use crate::source::{Layout, MatrixDescription, OriginalFrame, Originals, ScalarType};

/// What is known of all inputs of a job, and of those before it.
pub(super) fn originals(plan: &Plan, before: Option<&Originals>) -> Originals {
    let Some((first, others)) = plan.inputs.split_first() else {
        return before.cloned().unwrap_or_default();
    };
    let frame = |of: fn(&PlannedInput) -> &OriginalFrame, before: Option<&OriginalFrame>| {
        let mut frame = before.unwrap_or_else(|| of(first)).clone();
        for input in std::iter::once(first).chain(others) {
            frame.agree_with(of(input));
        }
        frame
    };
    let mut found = Originals {
        matrices: matrices(plan),
        obs: frame(
            |input| &input.originals.obs,
            before.map(|before| &before.obs),
        ),
        var: frame(
            |input| &input.originals.var,
            before.map(|before| &before.var),
        ),
    };
    if let Some(before) = before {
        // What was not known before was as it is written.
        let same = |name: &String, own: &mut ScalarType| before.matrices.get(name) == Some(own);
        found.matrices.retain(same);
    }
    found
}

/// Types of matrices that all inputs have in one type, which is not the one that is written.
fn matrices(plan: &Plan) -> BTreeMap<String, ScalarType> {
    let mut found = BTreeMap::new();
    let mut add = |name: String, written: String, types: Vec<ScalarType>| {
        if let Some((first, others)) = types.split_first()
            && others.iter().all(|other| other == first)
            && first.to_string() != written
        {
            found.insert(name, *first);
        }
    };
    let types = |of: &dyn Fn(&PlannedInput) -> Option<MatrixDescription>| {
        let inputs = plan.inputs.iter();
        let types = inputs.filter_map(|input| {
            let matrix = of(input).filter(|matrix| matrix.layout != Layout::Absent)?;
            Some(input.originals.value_type(&matrix.name, matrix.number_type))
        });
        types.collect::<Vec<_>>()
    };
    let written = plan.value.value_type.to_string();
    // The type of the input is known by the reason for that of the values, except of datasets.
    let known = |input: &PlannedInput| input.originals.matrices.contains_key("X");
    if plan.inputs.iter().all(known) {
        add(
            "X".into(),
            written,
            types(&|input| Some(input.main.clone())),
        );
    }
    for (place, layer) in plan.layers.iter().enumerate() {
        let written = layer.value.value_type.to_string();
        let types = types(&|input| input.layers.get(place).cloned());
        add(format!("layers/{}", layer.name), written, types);
    }
    for (place, pairs) in plan.obsp.iter().enumerate() {
        let written = pairs.value.value_type.to_string();
        let types = types(&|input| input.obsp.get(place).cloned());
        add(format!("obsp/{}", pairs.name), written, types);
    }
    for (place, pairs) in plan.varp.iter().enumerate() {
        let written = pairs.value.value_type.to_string();
        let types = types(&|input| input.varp.get(place).cloned());
        add(format!("varp/{}", pairs.name), written, types);
    }
    found
}
