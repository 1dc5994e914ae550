//! Determines what an experiment contains and what to read, by the same rules as the h5ad reader.

mod raw;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::embedding::{EmbeddingReader, OpenedEmbedding};
use super::frame::{Frame, IndexNames};
use super::joinids::Joinids;
use super::matrix::{Axes, Columns, StoredMatrix};
use super::measurement::{self, Measurement, RAW};
use super::object;
use super::tiledb::files::Folder;
use super::tiledb::group::Group;
use super::{OpenMatrix, Soma, SomaSource};
use crate::remedy::{Remedy, Setting};
use crate::source::error::ErrorContext;
use crate::source::raw::OTHER_GENES;
use crate::source::{
    Axis, Description, Embedding, Format, InputFormat, MainMatrix, MatrixDescription, MatrixName,
    Note, OpenOptions, Originals, Part, Reindex, SourceError,
};

/// Columns that may hold the cell names.
const OBS_INDEX: IndexNames = IndexNames(&["obs_id"]);

/// Columns that may hold the gene names; CELLxGENE Census has them in `feature_id`.
const VAR_INDEX: IndexNames = IndexNames(&["var_id", "feature_id"]);

/// Note on entries that a delete left behind.
const STRAYS: &str = "entries whose joinid obs or var does not have are left out, if there are any";

/// Collects the contents of an experiment.
pub(super) struct Contents<'a> {
    experiment: ErrorContext,
    options: &'a OpenOptions,
    /// The matrix that becomes X.
    matrix: MainMatrix,
    measurement: Measurement,
    raw: Option<Measurement>,
    cells: Arc<Joinids>,
    genes: Arc<Joinids>,
    matrices: BTreeMap<MatrixName, OpenMatrix>,
    embeddings: BTreeMap<(Axis, String), EmbeddingReader>,
    converted: Vec<Note>,
    left_out: Vec<Note>,
    warnings: Vec<String>,
}

/// The genes a measurement is read with.
struct Genes {
    var: Frame,
    /// Whether they are the genes of X.
    own: bool,
}

impl<'a> Contents<'a> {
    /// Opens everything that is selected.
    pub fn read(experiment: Group, options: &'a OpenOptions) -> Result<SomaSource, SourceError> {
        let place = experiment.folder.place();
        let member = |name: &str| {
            experiment
                .member(name)
                .ok_or_else(|| place.damaged(format!("it has no member {name:?}")))
        };
        let obs = Frame::open(member("obs")?, &OBS_INDEX, Part::Obs, &options.selection)?;
        let measurements = object::group(member("ms")?)?;
        let chosen = measurement::choose(&measurements, options)?;
        let measurement = Measurement::open(&measurements.members[&chosen])?;
        let raw = match measurements.member(RAW) {
            Some(folder) if chosen != RAW => Some(Measurement::open(folder)?),
            _ => None,
        };
        let matrix = match &options.matrix {
            // Without a raw matrix, `raw` means the layer of that name, which CELLxGENE Census has.
            MainMatrix::Raw
                if raw.is_none() && measurement.layers().any(|(name, _)| name == RAW) =>
            {
                MainMatrix::Layer(RAW.into())
            }
            other => other.clone(),
        };
        let mut contents = Contents {
            experiment: place.clone(),
            options,
            matrix,
            measurement,
            raw,
            cells: Arc::new(obs.joinids().clone()),
            genes: Arc::default(),
            matrices: BTreeMap::new(),
            embeddings: BTreeMap::new(),
            converted: Vec::new(),
            left_out: Vec::new(),
            warnings: Vec::new(),
        };
        contents.leave_out_rest(&experiment, &measurements, &chosen);
        let Genes { var, own } = contents.genes(&chosen)?;
        let main = contents.main(&chosen)?;
        let layers = contents.layers(&main, own, &var)?;
        for frame in [&obs, &var] {
            contents.check_not_lost(frame)?;
        }
        let obsm = contents.embeddings("obsm", Axis::Cells, true)?;
        let varm = contents.embeddings("varm", Axis::Genes, own)?;
        let obsp = contents.pairs("obsp", MatrixName::Obsp, true)?;
        let varp = contents.pairs("varp", MatrixName::Varp, own)?;
        for frame in [&obs, &var] {
            contents.left_out.extend_from_slice(frame.left_out());
            contents.converted.extend_from_slice(frame.converted());
        }
        contents.warn_of_raw_counts(&main)?;
        contents.warn_of_rows_of_nobody();
        let uns = contents
            .measurement
            .group
            .member("uns")
            .map(object::group)
            .transpose()?;
        let described = |group: &Group| {
            !group.members.is_empty() || object::user_metadata(&group.metadata).next().is_some()
        };
        let description = Description {
            path: experiment.folder.root().to_path_buf(),
            format: Format::named(Soma.name()),
            n_obs: obs.len(),
            n_vars: var.len(),
            x: main,
            layers,
            obs: obs.columns(),
            var: var.columns(),
            obsm,
            varm,
            obsp,
            varp,
            uns: uns.as_ref().is_some_and(described),
            converted: contents.converted,
            left_out: contents.left_out,
            warnings: contents.warnings,
            originals: Originals::default(),
        };
        Ok(SomaSource {
            place,
            description,
            obs,
            var,
            matrices: contents.matrices,
            embeddings: contents.embeddings,
            uns,
            selection: options.selection.clone(),
        })
    }

    /// Refuses a frame without rows if matrices were written: the frame's data is missing and all
    /// entries would be left out.
    fn check_not_lost(&self, frame: &Frame) -> Result<(), SourceError> {
        let mut written = self
            .matrices
            .values()
            .filter(|matrix| matrix.stored.is_written());
        match written.next() {
            Some(matrix) if frame.len() == 0 => Err(frame.place().damaged(format!(
                "it has no rows, but the matrix {} was written: what was written of it is missing \
                 (was the experiment copied only in part?)",
                matrix.place.object()
            ))),
            _ => Ok(()),
        }
    }

    /// Says what dense matrices have that the frames do not: a delete, or a lost write, leaves it.
    fn warn_of_rows_of_nobody(&mut self) {
        for (name, matrix) in &self.matrices {
            let [rows, columns] = matrix.stored.of_nobody();
            let (of_rows, of_columns) = match name {
                MatrixName::X | MatrixName::Layer(_) => ("cells", "genes"),
                MatrixName::Obsp(_) => ("cells", "cells"),
                MatrixName::Varp(_) => ("genes", "genes"),
            };
            for (count, what, of) in [(rows, "rows", of_rows), (columns, "columns", of_columns)] {
                if count > 0 {
                    let frame = if of == "cells" { "obs" } else { "var" };
                    self.warnings.push(format!(
                        "{}: {count} of its {what} are of {of} that {frame} does not have; they are left out",
                        matrix.place.object()
                    ));
                }
            }
        }
    }

    /// Returns the genes of the matrix that becomes X.
    fn genes(&mut self, chosen: &str) -> Result<Genes, SourceError> {
        let selection = &self.options.selection;
        let open = |folder: &Folder| Frame::open(folder, &VAR_INDEX, Part::Var, selection);
        let mut var = open(self.measurement.var()?)?;
        let mut own = true;
        if chosen != RAW
            && self.matrix == MainMatrix::Raw
            && let Some(raw) = &self.raw
        {
            let raw_var = open(raw.var()?)?;
            own = raw_var.ids(0..raw_var.len())? == var.ids(0..var.len())?
                && raw_var.joinids() == var.joinids();
            var = raw_var;
        }
        self.genes = Arc::new(var.joinids().clone());
        Ok(Genes { var, own })
    }

    fn axes(&self) -> Axes {
        Axes {
            rows: self.cells.clone(),
            columns: Columns::Joined(self.genes.clone()),
        }
    }

    fn add(&mut self, name: MatrixName, object: &str, stored: StoredMatrix) -> MatrixDescription {
        let matrix = stored.described(name.clone(), object);
        let rows = match &name {
            MatrixName::Varp(_) => &self.genes,
            MatrixName::X | MatrixName::Layer(_) | MatrixName::Obsp(_) => &self.cells,
        };
        let opened = OpenMatrix {
            place: self.experiment.of(object),
            rows: rows.len(),
            stored,
            genes: Reindex::Identity,
        };
        self.matrices.insert(name, opened);
        matrix
    }

    fn main(&mut self, chosen: &str) -> Result<MatrixDescription, SourceError> {
        let layer = match &self.matrix {
            MainMatrix::Own => self.measurement.own_layer()?,
            MainMatrix::Layer(name) => Some(self.measurement.chosen_layer(name)?),
            // The measurement `raw` was chosen explicitly.
            MainMatrix::Raw if chosen == RAW => self.measurement.own_layer()?,
            MainMatrix::Raw => match &self.raw {
                Some(raw) => raw.own_layer()?,
                None => {
                    return Err(self.measurement.group.folder.place().refuses(
                        Setting::of("matrix", "raw"),
                        "the experiment has no measurement \"raw\"",
                        Remedy::omit("matrix"),
                    ));
                }
            },
        };
        let (object, stored) = match layer {
            Some((_, folder)) => {
                let stored = StoredMatrix::open(folder, self.axes())?;
                (folder.object().to_string(), stored)
            }
            None => (
                self.measurement
                    .group
                    .folder
                    .child("X")
                    .object()
                    .to_string(),
                StoredMatrix::Absent,
            ),
        };
        Ok(self.add(MatrixName::X, &object, stored))
    }

    /// Returns the selected members of a group of the measurement, and adds notes for the others.
    fn wanted(&mut self, part: &str, of: Part) -> Result<Vec<(String, Folder)>, SourceError> {
        let Some(folder) = self.measurement.group.member(part) else {
            return Ok(Vec::new());
        };
        let mut wanted = Vec::new();
        for (name, folder) in object::group(folder)?.members {
            match self.options.selection.excludes(of, &name) {
                Some(reason) => self.left_out.push(Note::new(folder.object(), reason)),
                None => wanted.push((name, folder)),
            }
        }
        Ok(wanted)
    }

    /// Likewise, but returns none if they belong to other genes.
    fn fitting(
        &mut self,
        part: &str,
        of: Part,
        fits: bool,
    ) -> Result<Vec<(String, Folder)>, SourceError> {
        let members = self.wanted(part, of)?;
        if fits {
            return Ok(members);
        }
        let notes = members
            .iter()
            .map(|(_, folder)| Note::new(folder.object(), OTHER_GENES));
        self.left_out.extend(notes);
        Ok(Vec::new())
    }

    fn layers(
        &mut self,
        main: &MatrixDescription,
        own: bool,
        var: &Frame,
    ) -> Result<Vec<MatrixDescription>, SourceError> {
        let mut layers = Vec::new();
        for (name, folder) in self.fitting("X", Part::Layers, own)? {
            if folder.object() != main.object {
                let stored = StoredMatrix::open(&folder, self.axes())?;
                layers.push(self.add(MatrixName::Layer(name), folder.object(), stored));
            }
        }
        // The matrix that becomes X must not be listed as a layer that is left out.
        self.left_out.retain(|note| note.object != main.object);
        self.raw_layer(main, var, &mut layers)?;
        Ok(layers)
    }

    fn embeddings(
        &mut self,
        part: &str,
        axis: Axis,
        fits: bool,
    ) -> Result<Vec<Embedding>, SourceError> {
        let (of, rows) = match axis {
            Axis::Cells => (Part::Obsm, self.cells.clone()),
            Axis::Genes => (Part::Varm, self.genes.clone()),
        };
        let mut embeddings = Vec::new();
        for (name, folder) in self.fitting(part, of, fits)? {
            match EmbeddingReader::open(&folder, &rows)? {
                OpenedEmbedding::Embedding(reader) => {
                    if reader.may_have_strays() {
                        self.converted.push(Note::new(folder.object(), STRAYS));
                    }
                    embeddings.push(reader.described(&name));
                    self.embeddings.insert((axis, name), *reader);
                }
                OpenedEmbedding::LeftOut(reason) => {
                    self.left_out.push(Note::new(folder.object(), reason));
                }
            }
        }
        Ok(embeddings)
    }

    fn pairs(
        &mut self,
        part: &str,
        name_of: fn(String) -> MatrixName,
        fits: bool,
    ) -> Result<Vec<MatrixDescription>, SourceError> {
        let (of, side) = if part == "obsp" {
            (Part::Obsp, self.cells.clone())
        } else {
            (Part::Varp, self.genes.clone())
        };
        let mut pairs = Vec::new();
        for (name, folder) in self.fitting(part, of, fits)? {
            let axes = Axes {
                rows: side.clone(),
                columns: Columns::Joined(side.clone()),
            };
            let stored = StoredMatrix::open(&folder, axes)?;
            pairs.push(self.add(name_of(name), folder.object(), stored));
        }
        Ok(pairs)
    }

    /// Adds notes for everything that is not part of an AnnData, and for other measurements.
    fn leave_out_rest(&mut self, experiment: &Group, measurements: &Group, chosen: &str) {
        const PARTS: [&str; 7] = ["X", "obsm", "varm", "obsp", "varp", "uns", "var"];
        for (name, folder) in &experiment.members {
            if name != "obs" && name != "ms" {
                let reason = "not a part of an AnnData";
                self.left_out.push(Note::new(folder.object(), reason));
            }
        }
        for (name, folder) in &measurements.members {
            if name != chosen && name != RAW {
                let reason = format!("another measurement; convert it with --measurement {name}");
                self.left_out.push(Note::new(folder.object(), reason));
            }
        }
        for (name, folder) in &self.measurement.group.members {
            if !PARTS.contains(&name.as_str()) {
                let reason = "not a part of an AnnData";
                self.left_out.push(Note::new(folder.object(), reason));
            }
        }
        for group in [experiment, measurements, &self.measurement.group] {
            for name in object::user_metadata(&group.metadata) {
                let object = group.folder.child(name).object().to_string();
                self.left_out.push(Note::new(object, "metadata of a group"));
            }
        }
    }
}
