//! Determines what an h5ad file contains and what to read.

mod raw;

use std::collections::{BTreeMap, BTreeSet};

use super::embedding::{EmbeddingReader, OpenedEmbedding};
use super::frame::{Frame, RAW_CATEGORIES};
use super::matrix::{described, open};
use super::members;
use super::open_matrix::OpenMatrix;
use super::raw_paths::RawPaths;
use super::{H5ad, H5adSource};
use crate::remedy::{Remedy, Setting};
use crate::source::hdf5::matrix::StoredMatrix;
use crate::source::hdf5::{Hdf5File, Kind};
use crate::source::raw::OTHER_GENES;
use crate::source::{
    Axis, Description, Embedding, Format, InputFormat, MainMatrix, MatrixDescription, MatrixName,
    Note, OpenOptions, Originals, Part, RawUse, Reindex, SourceError,
};

/// The main matrix of an AnnData.
const X: &str = "X";

/// Name of the raw matrix.
const RAW: &str = "raw";

/// Where anndata before 0.7 kept the neighbour matrices, which belong in obsp.
const NEIGHBORS: &str = "uns/neighbors";

/// Collects the contents of a file.
pub(super) struct Contents<'a> {
    file: &'a Hdf5File,
    options: &'a OpenOptions,
    /// The matrix that becomes X.
    matrix: MainMatrix,
    raw: Option<RawPaths>,
    matrices: BTreeMap<MatrixName, OpenMatrix>,
    embeddings: BTreeMap<(Axis, String), EmbeddingReader>,
    converted: Vec<Note>,
    left_out: Vec<Note>,
    warnings: Vec<String>,
    /// Objects of uns that are read as parts of something else.
    moved: BTreeSet<String>,
}

impl<'a> Contents<'a> {
    /// Opens everything that is selected.
    pub fn read(file: &'a Hdf5File, options: &'a OpenOptions) -> Result<H5adSource, SourceError> {
        let mut left_out = Vec::new();
        let raw = match RawPaths::find(file) {
            Ok(raw) => raw,
            // The raw matrix was not requested, so this is not an error.
            Err(error) if options.matrix != MainMatrix::Raw && options.raw == RawUse::LeaveOut => {
                left_out.push(Note::new(RAW, error.reason(RAW)?));
                None
            }
            Err(error) => return Err(error),
        };
        let matrix = match &options.matrix {
            // Without a raw matrix, `raw` means the layer of that name.
            MainMatrix::Raw if raw.is_none() && has_layer(file, RAW)? => {
                MainMatrix::Layer(RAW.into())
            }
            other => other.clone(),
        };
        let mut contents = Contents {
            file,
            options,
            matrix,
            raw,
            matrices: BTreeMap::new(),
            embeddings: BTreeMap::new(),
            converted: Vec::new(),
            left_out,
            warnings: Vec::new(),
            moved: BTreeSet::new(),
        };
        let selection = &options.selection;
        let obs = Frame::open(file, "obs", Part::Obs, selection)?;
        let own_var = Frame::open(file, "var", Part::Var, selection)?;
        let (var, same_genes) = match &contents.raw {
            Some(raw) if contents.matrix == MainMatrix::Raw => {
                let var = Frame::open(file, raw.var, Part::Var, selection)?;
                let same = var.ids(0..var.rows())? == own_var.ids(0..own_var.rows())?;
                (var, same)
            }
            _ => (own_var, true),
        };
        let shape = [obs.rows(), var.rows()];
        let main = contents.main(shape)?;
        let layers = contents.layers(shape, same_genes, &var)?;
        let obsm = contents.embeddings(Axis::Cells, "obsm", shape[0])?;
        let varm = if same_genes {
            contents.embeddings(Axis::Genes, "varm", shape[1])?
        } else {
            contents.leave_out_members("varm", OTHER_GENES)?;
            Vec::new()
        };
        let mut obsp = contents.pairs("obsp", shape[0], MatrixName::Obsp)?;
        obsp.extend(contents.neighbors(shape[0])?);
        let varp = if same_genes {
            contents.pairs("varp", shape[1], MatrixName::Varp)?
        } else {
            contents.leave_out_members("varp", OTHER_GENES)?;
            Vec::new()
        };
        contents.leave_out_rest()?;
        for frame in [&obs, &var] {
            contents.left_out.extend_from_slice(frame.left_out());
            for object in frame.categories_elsewhere() {
                if contents.moved.insert(object.clone()) {
                    let how = "became the categories of a column";
                    contents.converted.push(Note::new(object, how));
                }
            }
        }
        contents.warn_of_raw_counts(&main, shape[0])?;
        let description = Description {
            path: file.path().to_path_buf(),
            format: Format::named(H5ad.name()),
            n_obs: shape[0],
            n_vars: shape[1],
            x: main,
            layers,
            obs: obs.columns(),
            var: var.columns(),
            obsm,
            varm,
            obsp,
            varp,
            // If uns cannot be examined, reading it reports the problem.
            uns: matches!(file.kind("uns"), Ok(Kind::Group))
                && file.members("uns").is_ok_and(|members| !members.is_empty()),
            converted: contents.converted,
            left_out: contents.left_out,
            warnings: contents.warnings,
            originals: Originals {
                obs: obs.originals(),
                var: var.originals(),
                ..Originals::default()
            },
        };
        Ok(H5adSource {
            file: file.clone(),
            description,
            obs,
            var,
            matrices: contents.matrices,
            embeddings: contents.embeddings,
            selection: selection.clone(),
            moved: contents.moved,
        })
    }

    fn add(
        &mut self,
        name: MatrixName,
        object: &str,
        rows: u64,
        stored: StoredMatrix,
    ) -> MatrixDescription {
        let matrix = described(name.clone(), object, &stored);
        // Determine the flag that leaves it out; the raw matrix is only there because it was
        // requested.
        let part = match &name {
            MatrixName::Layer(_) if object.starts_with("layers/") || object == X => {
                Some(Part::Layers)
            }
            MatrixName::X | MatrixName::Layer(_) => None,
            MatrixName::Obsp(_) => Some(Part::Obsp),
            MatrixName::Varp(_) => Some(Part::Varp),
        };
        let opened = OpenMatrix {
            place: self.file.place(object),
            rows,
            member: part.map(|part| (part, name.key().to_string())),
            stored,
            genes: Reindex::Identity,
        };
        self.matrices.insert(name, opened);
        matrix
    }

    fn main(&mut self, shape: [u64; 2]) -> Result<MatrixDescription, SourceError> {
        let file = self.file;
        let object = match &self.matrix {
            MainMatrix::Own => X.to_string(),
            MainMatrix::Raw => match &self.raw {
                Some(raw) => raw.x.to_string(),
                None => {
                    return Err(file.place("raw").refuses(
                        Setting::of("matrix", "raw"),
                        "the file has no raw matrix",
                        Remedy::omit("matrix"),
                    ));
                }
            },
            MainMatrix::Layer(name) => {
                let object = format!("layers/{name}");
                if !has_layer(file, name)? {
                    let option = "matrix";
                    let mut from = vec![X.to_string(), RAW.to_string()];
                    from.extend(self.names("layers")?);
                    return Err(file.place("layers").refuses(
                        Setting::of(option, name),
                        "there is no such layer",
                        Remedy::Choose { option, from },
                    ));
                }
                object
            }
        };
        let stored = open(file, &object, shape)?;
        Ok(self.add(MatrixName::X, &object, shape[0], stored))
    }

    /// Returns the sorted names of the members of a group; none if it is missing.
    fn names(&self, group: &str) -> Result<Vec<String>, SourceError> {
        if !matches!(self.file.kind(group)?, Kind::Group | Kind::Compound) {
            return Ok(Vec::new());
        }
        match group {
            "" => self.file.members(group),
            _ => members::matrices(self.file, group),
        }
    }

    /// Returns the selected members of a group, and adds notes for the others.
    fn wanted(&mut self, group: &str, part: Part) -> Result<Vec<String>, SourceError> {
        let selection = &self.options.selection;
        let names = match (self.names(group), selection.skips_all(part)) {
            (Ok(names), _) => names,
            (Err(_), Some(reason)) => {
                self.left_out.push(Note::new(group, reason));
                return Ok(Vec::new());
            }
            (Err(error), None) => return Err(error.or_skip_part(part)),
        };
        let mut wanted = Vec::new();
        for name in names {
            let object = format!("{group}/{name}");
            let reason = selection.excludes(part, &name);
            let reason = match reason {
                None if self.is_empty_group(&object) => Some("an empty group".into()),
                reason => reason,
            };
            match reason {
                Some(reason) => self.left_out.push(Note::new(object, reason)),
                None => wanted.push(name),
            }
        }
        Ok(wanted)
    }

    fn is_empty_group(&self, object: &str) -> bool {
        matches!(self.file.kind(object), Ok(Kind::Group))
            && self
                .file
                .members(object)
                .is_ok_and(|members| members.is_empty())
            && super::matrix::encoding(self.file, object).is_ok_and(|encoding| encoding.is_none())
    }

    /// Adds notes for members that were not requested, whether or not they could be read.
    fn leave_out_members(&mut self, group: &str, reason: &str) -> Result<(), SourceError> {
        match self.names(group) {
            Ok(names) => {
                let notes = names
                    .into_iter()
                    .map(|name| Note::new(format!("{group}/{name}"), reason));
                self.left_out.extend(notes);
            }
            Err(error) => {
                let reason = error.reason(group)?;
                self.left_out.push(Note::new(group, reason));
            }
        }
        Ok(())
    }

    fn layers(
        &mut self,
        shape: [u64; 2],
        same_genes: bool,
        var: &Frame,
    ) -> Result<Vec<MatrixDescription>, SourceError> {
        let mut layers = Vec::new();
        if same_genes {
            for name in self.wanted("layers", Part::Layers)? {
                let object = format!("layers/{name}");
                if self.matrix == MainMatrix::Layer(name.clone()) {
                    continue;
                }
                let stored = open(self.file, &object, shape)
                    .map_err(|error| error.or_skip(Part::Layers, &name))?;
                layers.push(self.add(MatrixName::Layer(name), &object, shape[0], stored));
            }
        } else {
            self.leave_out_members("layers", OTHER_GENES)?;
        }
        let has_x = self.file.kind(X)? != Kind::Missing;
        if self.matrix != MainMatrix::Own && has_x {
            self.layer_x(shape, same_genes, &mut layers)?;
        }
        if self.matrix != MainMatrix::Raw {
            self.raw_layer(shape, var, &mut layers)?;
        }
        Ok(layers)
    }

    /// Opens X as a layer if another matrix becomes X.
    fn layer_x(
        &mut self,
        shape: [u64; 2],
        same_genes: bool,
        layers: &mut Vec<MatrixDescription>,
    ) -> Result<(), SourceError> {
        let reason = if !same_genes {
            Some(OTHER_GENES.to_string())
        } else if layers.iter().any(|layer| layer.name.key() == X) {
            Some("a layer has its name".to_string())
        } else {
            self.options.selection.excludes(Part::Layers, X)
        };
        match reason {
            Some(reason) => self.left_out.push(Note::new(X, reason)),
            None => {
                let stored =
                    open(self.file, X, shape).map_err(|error| error.or_skip(Part::Layers, X))?;
                self.converted.push(Note::new(X, "became the layer \"X\""));
                layers.push(self.add(MatrixName::Layer(X.into()), X, shape[0], stored));
            }
        }
        Ok(())
    }

    fn embeddings(
        &mut self,
        axis: Axis,
        group: &str,
        rows: u64,
    ) -> Result<Vec<Embedding>, SourceError> {
        let part = match axis {
            Axis::Cells => Part::Obsm,
            Axis::Genes => Part::Varm,
        };
        let mut embeddings = Vec::new();
        for name in self.wanted(group, part)? {
            let object = format!("{group}/{name}");
            let opened = EmbeddingReader::open(self.file, &object, rows)
                .map_err(|error| error.or_skip(part, &name))?;
            match opened {
                OpenedEmbedding::Embedding(reader, how) => {
                    self.left_out.extend_from_slice(reader.left_out());
                    if let Some(how) = how {
                        self.converted.push(Note::new(object, how));
                    }
                    embeddings.push(reader.described(&name));
                    self.embeddings.insert((axis, name), reader);
                }
                OpenedEmbedding::LeftOut(reason) => self.left_out.push(Note::new(object, reason)),
            }
        }
        Ok(embeddings)
    }

    fn pairs(
        &mut self,
        group: &str,
        side: u64,
        name_of: fn(String) -> MatrixName,
    ) -> Result<Vec<MatrixDescription>, SourceError> {
        let part = if group == "obsp" {
            Part::Obsp
        } else {
            Part::Varp
        };
        let mut pairs = Vec::new();
        for name in self.wanted(group, part)? {
            let object = format!("{group}/{name}");
            let stored = open(self.file, &object, [side, side])
                .map_err(|error| error.or_skip(part, &name))?;
            pairs.push(self.add(name_of(name), &object, side, stored));
        }
        Ok(pairs)
    }

    /// Opens neighbour matrices in their old location, which anndata moves to obsp when reading.
    fn neighbors(&mut self, cells: u64) -> Result<Vec<MatrixDescription>, SourceError> {
        let mut pairs = Vec::new();
        for name in ["connectivities", "distances"] {
            let object = format!("{NEIGHBORS}/{name}");
            let name = MatrixName::Obsp(name.to_string());
            // If it cannot be examined, it is left out with the rest of uns.
            let found = is_matrix(self.file, &object).unwrap_or(false);
            if !found || self.matrices.contains_key(&name) {
                continue;
            }
            if let Some(reason) = self.options.selection.excludes(Part::Obsp, name.key()) {
                self.left_out.push(Note::new(object, reason));
                continue;
            }
            let stored = match open(self.file, &object, [cells, cells]) {
                Ok(stored) => stored,
                Err(error) => {
                    let reason = error.reason(&object)?;
                    self.left_out.push(Note::new(object.clone(), reason));
                    self.moved.insert(object);
                    continue;
                }
            };
            self.converted.push(Note::new(
                object.clone(),
                format!("became obsp/{}, as anndata reads it", name.key()),
            ));
            pairs.push(self.add(name, &object, cells, stored));
            self.moved.insert(object);
        }
        Ok(pairs)
    }

    /// Adds notes for everything that is not part of an AnnData.
    fn leave_out_rest(&mut self) -> Result<(), SourceError> {
        const PARTS: [&str; 14] = [
            X,
            "obs",
            "var",
            "layers",
            "obsm",
            "varm",
            "obsp",
            "varp",
            "uns",
            "raw",
            "raw.X",
            "raw.var",
            "raw.varm",
            RAW_CATEGORIES,
        ];
        for member in self.names("")? {
            if !PARTS.contains(&member.as_str()) {
                self.left_out
                    .push(Note::new(member, "not a part of an AnnData"));
            }
        }
        Ok(())
    }
}

fn has_layer(file: &Hdf5File, name: &str) -> Result<bool, SourceError> {
    Ok(matches!(file.kind("layers"), Ok(Kind::Group))
        && file.kind(&format!("layers/{name}"))? != Kind::Missing)
}

fn is_matrix(file: &Hdf5File, object: &str) -> Result<bool, SourceError> {
    if file.kind("uns")? != Kind::Group || file.kind(NEIGHBORS)? != Kind::Group {
        return Ok(false);
    }
    Ok(match file.kind(object)? {
        Kind::Dataset => file.array(object)?.shape.len() == 2,
        Kind::Group => matches!(
            super::matrix::encoding(file, object)?.as_deref(),
            Some("csr_matrix" | "csc_matrix" | "csr" | "csc")
        ),
        _ => false,
    })
}
