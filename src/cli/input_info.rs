//! `slaf info` of an input that is no dataset yet: what its headers say, and a sample of its values.

use std::fmt::Write as _;
use std::path::Path;

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::looping_files::give_up_on_stuck_files;
use super::report::print;
use super::signals::{Interrupted, end_when_asked};
use crate::error::Error;
use crate::source::{
    Column, ColumnKind, Inputs, Layout, MatrixDescription, Note, OpenOptions, discover,
};
use crate::survey::Survey;

/// Describes the inputs at a path.
pub(super) fn run(path: &Path, json: bool) -> Result<(), Error> {
    give_up_on_stuck_files();
    end_when_asked(Interrupted::Nothing);
    let found = discover(path, &OpenOptions::default())?;
    let mut told: Vec<Value> = Vec::new();
    let mut text = String::new();
    for input in &found.inputs {
        let opened = Inputs::of_paths([(input.clone(), OpenOptions::default())]);
        for survey in Survey::of_all(&opened, 1)? {
            if json {
                told.push(as_json(input, &survey));
            } else {
                text += &as_text(input, &survey);
            }
        }
    }
    if json {
        let all = Value::Array(told);
        text = serde_json::to_string_pretty(&all).map_err(std::io::Error::from)? + "\n";
    } else {
        for passed in &found.passed_over {
            let path = passed.path.display();
            text += &format!("passed over  {path}: {}\n", passed.reason);
        }
    }
    print(&text)
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// How a matrix is stored, in words.
fn stored(matrix: &MatrixDescription) -> String {
    let layout = match matrix.layout {
        Layout::Csr => "by cell (CSR)",
        Layout::Csc => "by gene (CSC)",
        Layout::Coo => "as coordinates",
        Layout::Dense => "dense",
        Layout::Absent => return "none".into(),
    };
    let entries = matrix.entries;
    let entries = entries.map(|entries| format!(", {} entries", count(entries)));
    format!(
        "{} {layout}{}",
        matrix.number_type,
        entries.unwrap_or_default()
    )
}

/// Type of a column, in words.
fn kind(column: &Column) -> String {
    match &column.kind {
        ColumnKind::Text => "text".into(),
        ColumnKind::Number(number) => number.to_string(),
        ColumnKind::Nullable(number) => format!("{number} or missing"),
        ColumnKind::Categorical { ordered: false } => "categories".into(),
        ColumnKind::Categorical { ordered: true } => "ordered categories".into(),
        ColumnKind::Time => "time".into(),
    }
}

fn as_text(path: &Path, survey: &Survey) -> String {
    let description = &survey.description;
    let mut text = String::new();
    let mut line = |label: &str, rest: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:<12} {rest}");
    };
    line("input", path.display().to_string());
    line("format", description.format.to_string());
    let (cells, genes) = (count(description.n_obs), count(description.n_vars));
    line("shape", format!("{cells} cells × {genes} genes"));
    line(
        "X",
        format!("{}; {}", stored(&description.x), survey.main.scale),
    );
    for (layer, found) in description.layers.iter().zip(&survey.layers) {
        line(
            "layer",
            format!("{}: {}; {}", layer.name.key(), stored(layer), found.scale),
        );
    }
    for (label, columns) in [("obs", &description.obs), ("var", &description.var)] {
        let columns = columns
            .iter()
            .map(|column| format!("{} ({})", column.name, kind(column)));
        let columns = columns.collect::<Vec<_>>().join(", ");
        if !columns.is_empty() {
            line(label, columns);
        }
    }
    for (label, embeddings) in [("obsm", &description.obsm), ("varm", &description.varm)] {
        for found in embeddings {
            line(
                label,
                format!(
                    "{}: {} columns of {}",
                    found.name, found.width, found.number_type
                ),
            );
        }
    }
    for (label, matrices) in [("obsp", &description.obsp), ("varp", &description.varp)] {
        for matrix in matrices {
            line(label, format!("{}: {}", matrix.name.key(), stored(matrix)));
        }
    }
    if description.uns {
        line("uns", "yes".into());
    }
    for (label, repeats) in [
        ("cells", &survey.repeated_cells),
        ("genes", &survey.repeated_genes),
    ] {
        if repeats.count > 0 {
            line(
                label,
                format!("{} have the name of an earlier one", count(repeats.count)),
            );
        }
    }
    for (label, notes) in notes(survey) {
        for note in notes {
            line(label, format!("{}: {}", note.object, note.reason));
        }
    }
    for warning in &description.warnings {
        line("warning", warning.clone());
    }
    text
}

/// What a conversion would change or leave out.
fn notes(survey: &Survey) -> [(&'static str, Vec<&Note>); 2] {
    let description = &survey.description;
    let converted = description.converted.iter().chain(&survey.uns_converted);
    let left_out = description.left_out.iter().chain(&survey.uns_left_out);
    [
        ("changed", converted.collect()),
        ("left out", left_out.collect()),
    ]
}

fn as_json(path: &Path, survey: &Survey) -> Value {
    let description = &survey.description;
    let [(_, converted), (_, left_out)] = notes(survey);
    let layers = description.layers.iter().zip(&survey.layers);
    let layers =
        layers.map(|(layer, found)| json!({"matrix": layer, "scale": found.scale.to_string()}));
    json!({
        "path": path,
        "format": description.format.to_string(),
        "cells": description.n_obs,
        "genes": description.n_vars,
        "x": {"matrix": description.x, "scale": survey.main.scale.to_string()},
        "layers": layers.collect::<Vec<_>>(),
        "obs": description.obs,
        "var": description.var,
        "obsm": description.obsm,
        "varm": description.varm,
        "obsp": description.obsp,
        "varp": description.varp,
        "uns": description.uns,
        "repeated_cells": survey.repeated_cells.count,
        "repeated_genes": survey.repeated_genes.count,
        "converted": converted,
        "left_out": left_out,
        "warnings": description.warnings,
    })
}
