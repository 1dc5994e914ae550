//! What an experiment holds, and what of it is read: as the h5ad reader treats an AnnData.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::embedding::{EmbeddingReader, OpenedEmbedding};
use super::files::Folder;
use super::frame::{Frame, IndexNames};
use super::joinids::Joinids;
use super::matrix::{Axes, StoredMatrix};
use super::measurement::{self, Measurement, RAW};
use super::object;
use super::tiledb::group::Group;
use super::{OpenMatrix, SomaSource, raw};
use crate::source::{
    Axis, Description, Embedding, Format, MainMatrix, Matrix, MatrixName, Note, OpenOptions, Part,
    RawUse, SourceError,
};

/// Where the names of cells are.
const OBS_INDEX: IndexNames = IndexNames(&["obs_id"]);

/// Where the names of genes are; the Census has them in `feature_id`.
const VAR_INDEX: IndexNames = IndexNames(&["var_id", "feature_id"]);

/// Why parts that belong to var's genes are not converted beside the raw matrix.
const OTHER_GENES: &str = "it belongs to the genes of X, and those of raw are others";

/// Collects what an experiment holds.
pub(super) struct Contents<'a> {
    options: &'a OpenOptions,
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

/// Which genes a measurement is read with.
struct Genes {
    var: Frame,
    /// Whether they are those of X.
    own: bool,
}

impl<'a> Contents<'a> {
    /// Opens everything that is wanted.
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
        let mut contents = Contents {
            options,
            measurement: Measurement::open(&measurements.members[&chosen])?,
            raw: match measurements.member(RAW) {
                Some(folder) if chosen != RAW => Some(Measurement::open(folder)?),
                _ => None,
            },
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
        let obsm = contents.embeddings("obsm", Axis::Cells, true)?;
        let varm = contents.embeddings("varm", Axis::Genes, own)?;
        let obsp = contents.pairs("obsp", MatrixName::Obsp, true)?;
        let varp = contents.pairs("varp", MatrixName::Varp, own)?;
        for frame in [&obs, &var] {
            contents.left_out.extend_from_slice(frame.left_out());
            contents.converted.extend_from_slice(frame.converted());
        }
        contents.warn_of_raw_counts(&main)?;
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
            format: Format::Soma,
            cells: obs.len(),
            genes: var.len(),
            main,
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

    /// The genes of the main matrix.
    fn genes(&mut self, chosen: &str) -> Result<Genes, SourceError> {
        let selection = &self.options.selection;
        let open = |folder: &Folder| Frame::open(folder, &VAR_INDEX, Part::Var, selection);
        let mut var = open(self.measurement.var()?)?;
        let mut own = true;
        if measurement::wants_raw(chosen, self.options)
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
            columns: self.genes.clone(),
        }
    }

    fn add(&mut self, name: MatrixName, object: &str, stored: StoredMatrix) -> Matrix {
        let matrix = stored.described(name.clone(), object);
        let genes = None;
        self.matrices.insert(name, OpenMatrix { stored, genes });
        matrix
    }

    fn main(&mut self, chosen: &str) -> Result<Matrix, SourceError> {
        let layer = match &self.options.matrix {
            MainMatrix::Own => self.measurement.own_layer()?,
            MainMatrix::Layer(name) => Some(self.measurement.chosen_layer(name)?),
            // The measurement raw was chosen itself.
            MainMatrix::Raw if chosen == RAW => self.measurement.own_layer()?,
            MainMatrix::Raw => match &self.raw {
                Some(raw) => raw.own_layer()?,
                None => {
                    return Err(self.measurement.group.folder.place().unsupported(
                        "--matrix raw: an experiment without the measurement \"raw\"",
                        "leave out --matrix",
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
        Ok(self.add(MatrixName::Main, &object, stored))
    }

    /// The members of a group of the measurement that are wanted; the others are noted.
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

    /// Likewise, or, where they belong to other genes, none.
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
        main: &Matrix,
        own: bool,
        var: &Frame,
    ) -> Result<Vec<Matrix>, SourceError> {
        let mut layers = Vec::new();
        for (name, folder) in self.fitting("X", Part::Layers, own)? {
            if folder.object() != main.object {
                let stored = StoredMatrix::open(&folder, self.axes())?;
                layers.push(self.add(MatrixName::Layer(name), folder.object(), stored));
            }
        }
        // What is the main matrix is no layer that is left out.
        self.left_out.retain(|note| note.object != main.object);
        self.raw_layer(main, var, &mut layers)?;
        Ok(layers)
    }

    /// The raw matrix, where it is not the main one.
    fn raw_layer(
        &mut self,
        main: &Matrix,
        var: &Frame,
        layers: &mut Vec<Matrix>,
    ) -> Result<(), SourceError> {
        let Some(measurement) = self.raw.take() else {
            return Ok(());
        };
        for (name, folder) in &measurement.group.members {
            if name != "X" && name != "var" {
                let reason = "it belongs to the genes of raw";
                self.left_out.push(Note::new(folder.object(), reason));
            }
        }
        let own = measurement.own_layer().ok().flatten();
        for (name, folder) in measurement.layers() {
            if folder.object() == main.object {
                continue;
            }
            let is_own = own.is_some_and(|(own, _)| own == name);
            if self.options.raw == RawUse::LeaveOut || !is_own {
                let reason =
                    "keep it with --raw-as-layer, or convert it instead of X with --matrix raw";
                let reason = if is_own {
                    reason
                } else {
                    "another layer of raw"
                };
                self.left_out.push(Note::new(folder.object(), reason));
                continue;
            }
            if layers.iter().any(|layer| layer.name.key() == RAW) {
                return Err(folder.place().unsupported(
                    "--raw-as-layer: a measurement that has a layer \"raw\" already",
                    "leave out --raw-as-layer, or that layer with --skip layers:raw",
                ));
            }
            let frame = Frame::open(
                measurement.var()?,
                &VAR_INDEX,
                Part::Var,
                &self.options.selection,
            )?;
            let genes = raw::positions(&frame, var)?;
            let axes = Axes {
                rows: self.cells.clone(),
                columns: Arc::new(frame.joinids().clone()),
            };
            let stored = StoredMatrix::open(folder, axes)?;
            self.converted
                .push(Note::new(folder.object(), "became the layer \"raw\""));
            let name = MatrixName::Layer(RAW.into());
            layers.push(self.add(name.clone(), folder.object(), stored));
            if let Some(matrix) = self.matrices.get_mut(&name) {
                matrix.genes = genes;
            }
        }
        self.raw = Some(measurement);
        Ok(())
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
    ) -> Result<Vec<Matrix>, SourceError> {
        let (of, side) = if part == "obsp" {
            (Part::Obsp, self.cells.clone())
        } else {
            (Part::Varp, self.genes.clone())
        };
        let mut pairs = Vec::new();
        for (name, folder) in self.fitting(part, of, fits)? {
            let axes = Axes {
                rows: side.clone(),
                columns: side.clone(),
            };
            let stored = StoredMatrix::open(&folder, axes)?;
            pairs.push(self.add(name_of(name), folder.object(), stored));
        }
        Ok(pairs)
    }

    /// Names what is no part of an AnnData, and other measurements.
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

    /// Warns where X was normalised and the raw matrix was not, which is what most users want.
    fn warn_of_raw_counts(&mut self, main: &Matrix) -> Result<(), SourceError> {
        if self.options.matrix != MainMatrix::Own || main.entries == Some(0) {
            return Ok(());
        }
        let Some(raw) = &self.raw else { return Ok(()) };
        let Ok(Some((_, folder))) = raw.own_layer() else {
            return Ok(());
        };
        let frame = Frame::open(raw.var()?, &VAR_INDEX, Part::Var, &self.options.selection)?;
        let axes = Axes {
            rows: self.cells.clone(),
            columns: Arc::new(frame.joinids().clone()),
        };
        // A raw matrix that cannot be read is not asked for here.
        let Ok(stored) = StoredMatrix::open(folder, axes) else {
            return Ok(());
        };
        let Some(own) = self.matrices.get(&MatrixName::Main) else {
            return Ok(());
        };
        if holds_counts(&stored)? && !holds_counts(&own.stored)? {
            self.warnings.push(format!(
                "{} holds counts and {} does not: use --matrix raw to convert the counts, or --raw-as-layer to keep both",
                folder.object(),
                main.object
            ));
        }
        Ok(())
    }
}

/// Whether a sample of the values is of whole numbers from zero on, not all of them zero.
fn holds_counts(matrix: &StoredMatrix) -> Result<bool, SourceError> {
    let (mut whole, mut some) = (true, false);
    matrix.sample(&mut |numbers| match numbers.to_f64() {
        Ok(values) => {
            whole &= values
                .iter()
                .all(|&value| value >= 0.0 && value.fract() == 0.0);
            some |= values.iter().any(|&value| value != 0.0);
        }
        Err(_) => whole = false,
    })?;
    Ok(whole && some)
}
