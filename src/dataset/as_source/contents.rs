//! Determines what a dataset contains and what of it is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::datatypes::DataType;

use super::SlafSource;
use super::entries::{Entries, Zeros};
use super::frame::{Categories, Frame, FrameColumn, FrameEmbedding};
use super::originals::originals;
use super::starts::Starts;
use super::table::{OpenTable, file_of, finish, refused};
use crate::dataset::base_columns::original;
use crate::dataset::{CONFIG, ConfigUse, Dataset, UNS};
use crate::remedy::{Remedy, Setting};
use crate::source::transpose::TransposeOptions;
use crate::source::{
    Column, ColumnKind, Description, Embedding, ErrorContext, Format, Layout, MainMatrix,
    MatrixDescription, MatrixName, Note, OpenOptions, Part, RawUse, ScalarType, SourceError, Uns,
};
use crate::store::read_regular;
use crate::survey::FloatType;
use crate::table::TableName;

/// Maximum number of bytes of memory per byte of uns.json.
const UNS_ROOM: u64 = 8;

/// Name of the layer that X becomes if another matrix takes its place.
const X: &str = "X";

/// Text columns that the reference may write in addition to the integer identifiers of each entry.
const TEXTS_OF_ENTRIES: [&str; 2] = ["cell_id", "gene_id"];

/// Collects the contents of a dataset.
pub(super) struct Contents<'a> {
    dataset: &'a Dataset,
    options: &'a OpenOptions,
    shape: [u64; 2],
    /// Whether versions and first rows are those that this program wrote.
    described: bool,
    matrices: BTreeMap<MatrixName, Entries>,
    converted: Vec<Note>,
    left_out: Vec<Note>,
}

impl Contents<'_> {
    /// Opens everything that the options select.
    pub fn read(path: &Path, options: &OpenOptions) -> Result<SlafSource, SourceError> {
        ConfigUse::Read
            .check(path, options.memory)
            .map_err(refused)?;
        let dataset = Dataset::open(path).map_err(refused)?;
        let mut tables = BTreeMap::new();
        for name in dataset.tables() {
            tables.insert(name, OpenTable::of(&dataset, name)?);
        }
        let needed = |name: TableName| {
            tables.get(&name).cloned().ok_or_else(|| {
                let what = format!("its config.json names no table {}", name.key());
                ErrorContext::whole(path).damaged(what)
            })
        };
        let (expression, cells) = (needed(TableName::Expression)?, needed(TableName::Cells)?);
        let genes = needed(TableName::Genes)?;
        let mut contents = Contents {
            dataset: &dataset,
            options,
            shape: dataset.config().array_shape,
            described: dataset.config().is_described(),
            matrices: BTreeMap::new(),
            converted: Vec::new(),
            left_out: Vec::new(),
        };
        contents.check(&tables)?;
        let obs = contents.frame(&cells, Part::Obs, Part::Obsm)?;
        let var = contents.frame(&genes, Part::Var, Part::Varm)?;
        let own = contents.main(&expression, &cells)?;
        let mut layers = contents.members(&tables, TableName::Layers, Part::Layers)?;
        let x = contents.chosen(own, &mut layers)?;
        let obsp = contents.members(&tables, TableName::Obsp, Part::Obsp)?;
        let varp = contents.members(&tables, TableName::Varp, Part::Varp)?;
        let uns = contents.uns()?;
        let mut files: Vec<PathBuf> = Vec::new();
        files.extend(file_of(path, CONFIG));
        files.extend(file_of(path, UNS));
        for table in tables.values() {
            files.extend(table.files()?);
            if !contents.described {
                // The newest version is read, whatever it is.
                files.push(table.path.join("_versions"));
            }
        }
        let described = |frame: &Frame| frame.columns.iter().map(|c| c.column.clone()).collect();
        let embeddings = |frame: &Frame| {
            frame
                .embeddings
                .iter()
                .map(|e| e.embedding.clone())
                .collect()
        };
        let originals = originals(
            dataset.config(),
            options,
            std::iter::once(&x).chain(&layers).chain(&obsp).chain(&varp),
        );
        Ok(SlafSource {
            path: path.to_path_buf(),
            description: Description {
                path: path.to_path_buf(),
                format: Format::named("slaf"),
                n_obs: contents.shape[0],
                n_vars: contents.shape[1],
                x,
                layers,
                obs: described(&obs),
                var: described(&var),
                obsm: embeddings(&obs),
                varm: embeddings(&var),
                obsp,
                varp,
                uns: !uns.values.is_empty(),
                warnings: contents.warnings()?,
                originals,
                converted: contents.converted,
                left_out: contents.left_out,
            },
            obs,
            var,
            matrices: contents.matrices,
            uns,
            files,
        })
    }

    /// Refuses an incomplete dataset.
    fn check(&self, tables: &BTreeMap<TableName, Arc<OpenTable>>) -> Result<(), SourceError> {
        let path = self.dataset.path();
        for (name, what, expected) in [
            (TableName::Cells, "cells", self.shape[0]),
            (TableName::Genes, "genes", self.shape[1]),
        ] {
            let found = tables.get(&name).map_or(0, |table| table.rows);
            if found != expected {
                return Err(ErrorContext::whole(path).damaged(format!(
                    "config.json tells of {expected} {what}, and their table has {found}: a change by another program was interrupted, or is not described; `slaf adopt {}` takes the dataset as it is",
                    path.display()
                )));
            }
        }
        let entries = self.dataset.config().metadata.expression_count;
        for table in tables.values() {
            let lost = table.name == TableName::Expression && table.rows != entries;
            if self.described && lost {
                let rows = table.rows;
                return Err(table.place().damaged(format!(
                    "config.json tells of {entries} rows, and there are {rows}; {}",
                    Remedy::Verify
                )));
            }
            if !self.described && table.has_deletions {
                return Err(table.place().unsupported(
                    "a table of which another program deleted rows",
                    Remedy::AcceptChanges {
                        dataset: path.to_path_buf(),
                    },
                ));
            }
            for column in table.name.own_columns() {
                // Datasets of the reference may lack these two.
                let optional = ["source_file", "cell_start_index"].contains(column);
                if !optional && !table.has(column) {
                    let what = format!("its column {column} is missing");
                    return Err(table.place().damaged(what));
                }
            }
        }
        Ok(())
    }

    /// Returns warnings about changes to the dataset that are not read.
    fn warnings(&self) -> Result<Vec<String>, SourceError> {
        if !self.described {
            return Ok(Vec::new());
        }
        let dataset = self.dataset.clone();
        let changes = finish(self.dataset.path(), async move {
            dataset.changes().await.map_err(refused)
        })?;
        let warnings = changes.tables.iter().map(|change| {
            format!(
                "another program has changed the dataset, which is read as config.json describes it ({change}); to have the changes, run `slaf adopt {}` first",
                self.dataset.path().display()
            )
        });
        Ok(warnings.collect())
    }

    /// Whether a member of a part is selected; otherwise this is noted.
    fn wants(&mut self, part: Part, name: &str) -> bool {
        let reason = self.options.selection.excludes(part, name);
        let object = || format!("{}/{name}", part.name());
        let wanted = reason.is_none();
        self.left_out
            .extend(reason.map(|reason| Note::new(object(), reason)));
        wanted
    }

    fn refused_column(
        &self,
        table: &OpenTable,
        part: Part,
        name: &str,
        data_type: &DataType,
    ) -> SourceError {
        let place = ErrorContext::new(&table.path, name);
        let error = place.unsupported(
            format!("a column of {data_type}"),
            "rewrite it with Lance in a type of numbers or texts",
        );
        error.or_skip(part, name)
    }

    /// Reads the columns of cells or genes, and their embeddings.
    fn frame(
        &mut self,
        table: &Arc<OpenTable>,
        columns: Part,
        embeddings: Part,
    ) -> Result<Frame, SourceError> {
        let config = self.dataset.config();
        let mut frame = Frame {
            table: table.clone(),
            columns: Vec::new(),
            embeddings: Vec::new(),
        };
        let own = table.name.own_columns();
        for field in table.schema.fields() {
            let (name, data_type) = (field.name(), field.data_type());
            if own.contains(&name.as_str()) {
                continue;
            }
            if is_list(data_type) {
                let (called, numbers) = original(embeddings, name, &config.column_notes);
                if !self.wants(embeddings, &called) {
                    continue;
                }
                let (width, number_type) = floats(data_type)
                    .ok_or_else(|| self.refused_column(table, embeddings, &called, data_type))?;
                frame.embeddings.push(FrameEmbedding {
                    embedding: Embedding {
                        name: called,
                        width,
                        number_type,
                        columns: Some(numbers).filter(|names| !names.is_empty()),
                    },
                    written_as: name.clone(),
                    seen: Mutex::default(),
                });
                continue;
            }
            let (called, _) = original(columns, name, &config.column_notes);
            if !self.wants(columns, &called) {
                continue;
            }
            let kind = ColumnKind::of_arrow(data_type)
                .ok_or_else(|| self.refused_column(table, columns, &called, data_type))?;
            let column = self.column(table, columns, called, name, kind)?;
            frame.columns.push(column);
        }
        if columns == Part::Obs {
            self.source_files(&mut frame);
        }
        Ok(frame)
    }

    fn column(
        &self,
        table: &OpenTable,
        part: Part,
        called: String,
        written_as: &str,
        kind: ColumnKind,
    ) -> Result<FrameColumn, SourceError> {
        let dtype = self.dataset.config().category(part, written_as);
        // If there is no list of categories, they are the values that occur.
        let listed = dtype.and_then(|dtype| Some((dtype.categories.as_ref()?, dtype.kind())));
        let (kind, categories) = match (kind, listed) {
            (ColumnKind::Text, Some((list, kind))) => {
                let categories = Categories::of(list.texts().clone()).ok_or_else(|| {
                    let place = ErrorContext::new(&table.path, written_as);
                    place.unsupported("more than 2^31 categories", "make it a column of texts")
                })?;
                (kind, Some(categories))
            }
            (kind, _) => (kind, None),
        };
        Ok(FrameColumn {
            column: Column { name: called, kind },
            written_as: written_as.to_string(),
            categories,
        })
    }

    /// Converts the source of the cells of a dataset of several inputs to an ordinary column: for
    /// the new dataset, all cells have this dataset as their source.
    fn source_files(&mut self, frame: &mut Frame) {
        const OWN: &str = "source_file";
        let config = self.dataset.config();
        let listed = config
            .multi_file
            .as_ref()
            .map_or(0, |m| m.source_files.len());
        if !frame.table.has(OWN) || config.sources.len().max(listed) < 2 {
            return;
        }
        let taken = |name: &str| frame.columns.iter().any(|c| c.column.name == name);
        let numbered = (1..).map(|number| format!("{OWN}_{number}"));
        let mut names = std::iter::once(OWN.to_string()).chain(numbered);
        let Some(name) = names.find(|name| !taken(name)) else {
            return;
        };
        if !self.wants(Part::Obs, &name) {
            return;
        }
        let how = format!("the inputs of the dataset, which became the column obs/{name}");
        self.converted.push(Note::new(OWN, how));
        frame.columns.push(FrameColumn {
            column: Column {
                name,
                kind: ColumnKind::Text,
            },
            written_as: OWN.to_string(),
            categories: None,
        });
    }

    fn starts(&self, table: &Arc<OpenTable>, recorded: Option<Arc<OpenTable>>) -> Arc<Starts> {
        let rows = match table.name {
            TableName::Varp => self.shape[1],
            _ => self.shape[0],
        };
        Arc::new(Starts {
            table: table.clone(),
            column: table.name.number_columns()[0],
            rows,
            recorded,
            memory: self.options.memory,
            counted: Mutex::default(),
        })
    }

    fn entries(
        &self,
        starts: &Arc<Starts>,
        column: &str,
        number_type: ScalarType,
        zeros: Zeros,
    ) -> Entries {
        let numbers = starts.table.name.number_columns();
        Entries {
            starts: starts.clone(),
            columns: [numbers[0], numbers[1], column].map(String::from),
            number_type,
            width: match starts.table.name {
                TableName::Obsp => self.shape[0],
                _ => self.shape[1],
            },
            zeros,
            transposing: TransposeOptions::of(self.options),
            transposed: Arc::default(),
        }
    }

    /// Returns the matrix in the expression table.
    fn main(
        &self,
        expression: &Arc<OpenTable>,
        cells: &Arc<OpenTable>,
    ) -> Result<Entries, SourceError> {
        // In datasets of other programs, it starts again at 0 for each input.
        let believed = self.described && cells.has("cell_start_index");
        let starts = self.starts(expression, believed.then(|| cells.clone()));
        let field = expression.schema.field_with_name("value");
        let value = field
            .ok()
            .and_then(|field| ScalarType::of_arrow(field.data_type()));
        let value = value.ok_or_else(|| expression.place().damaged("its values are no numbers"))?;
        Ok(self.entries(&starts, "value", value, Zeros::Entries))
    }

    /// Returns the matrices of a table that may contain several.
    fn members(
        &mut self,
        tables: &BTreeMap<TableName, Arc<OpenTable>>,
        name: TableName,
        part: Part,
    ) -> Result<Vec<MatrixDescription>, SourceError> {
        let Some(table) = tables.get(&name) else {
            return Ok(Vec::new());
        };
        let starts = self.starts(table, None);
        let notes = &self.dataset.config().column_notes;
        let own = name.number_columns();
        let fields = table.schema.fields().iter();
        let fields = fields.filter(|field| {
            let name = field.name().as_str();
            !own.contains(&name) && !TEXTS_OF_ENTRIES.contains(&name)
        });
        let fields: Vec<_> = fields.cloned().collect();
        let mut matrices = Vec::new();
        for field in &fields {
            let (called, _) = original(part, field.name(), notes);
            // A layer that takes the place of X is not listed as a layer.
            let chosen = self.options.matrix == MainMatrix::Layer(called.clone());
            if !(self.wants(part, &called) || part == Part::Layers && chosen) {
                continue;
            }
            let number_type = ScalarType::of_arrow(field.data_type())
                .ok_or_else(|| self.refused_column(table, part, &called, field.data_type()))?;
            let object = format!("{}/{called}", part.name());
            let matrix = match part {
                Part::Layers => MatrixName::Layer(called),
                Part::Obsp => MatrixName::Obsp(called),
                _ => MatrixName::Varp(called),
            };
            let entries = self.entries(&starts, field.name(), number_type, Zeros::Absent);
            matrices.push(self.add(matrix, object, entries));
        }
        Ok(matrices)
    }

    fn add(&mut self, name: MatrixName, object: String, entries: Entries) -> MatrixDescription {
        let matrix = MatrixDescription {
            name: name.clone(),
            object,
            layout: Layout::Csr,
            number_type: entries.number_type,
            // Rows are shared between matrices; the number of entries of each is not known without
            // reading.
            entries: (entries.zeros == Zeros::Entries).then(|| entries.at_most()),
        };
        self.matrices.insert(name, entries);
        matrix
    }

    /// Returns the main matrix: the expression table, or a layer that takes its place.
    fn chosen(
        &mut self,
        own: Entries,
        layers: &mut Vec<MatrixDescription>,
    ) -> Result<MatrixDescription, SourceError> {
        let place = ErrorContext::whole(self.dataset.path());
        if self.options.raw == RawUse::Layer {
            return Err(place.refuses(
                Setting::any("raw-as-layer"),
                "a dataset has no raw matrix; a layer `raw` comes along as it is",
                Remedy::omit("raw-as-layer"),
            ));
        }
        let wanted = match &self.options.matrix {
            MainMatrix::Own => return Ok(self.add(MatrixName::X, X.into(), own)),
            MainMatrix::Raw => "raw",
            MainMatrix::Layer(name) => name,
        };
        let found = layers.iter().position(|layer| layer.name.key() == wanted);
        let Some(found) = found else {
            let names: Vec<&str> = layers.iter().map(|layer| layer.name.key()).collect();
            let from = std::iter::once(X).chain(names).map(String::from).collect();
            return Err(place.refuses(
                Setting::of("matrix", wanted),
                "there is no such layer",
                Remedy::Choose {
                    option: "matrix",
                    from,
                },
            ));
        };
        let layer = layers.remove(found);
        let Some(entries) = self.matrices.remove(&layer.name) else {
            return Err(place.damaged("a layer is missing"));
        };
        if layers.iter().any(|layer| layer.name.key() == X) {
            let reason = "a layer has its name";
            self.left_out.push(Note::new(X, reason));
        } else if self.wants(Part::Layers, X) {
            self.converted.push(Note::new(X, "became the layer \"X\""));
            let x = self.add(MatrixName::Layer(X.into()), X.into(), own);
            layers.push(x);
        }
        Ok(self.add(MatrixName::X, layer.object, entries))
    }

    /// Reads `uns`.
    fn uns(&mut self) -> Result<Uns, SourceError> {
        let Some(path) = file_of(self.dataset.path(), UNS) else {
            return Ok(Uns::default());
        };
        let place = ErrorContext::whole(&path);
        if let Some(reason) = self.options.selection.skips_all(Part::Uns) {
            self.left_out.push(Note::new("uns", reason));
            return Ok(Uns::default());
        }
        let length = std::fs::metadata(&path)
            .map_err(|e| place.io("open", e))?
            .len();
        let needed = length.saturating_mul(UNS_ROOM);
        if needed > self.options.memory {
            let error = place.too_large("uns", needed, needed);
            return Err(error.or_skip_part(Part::Uns));
        }
        let bytes = read_regular(&path, u64::MAX).map_err(|e| place.io("read", e))?;
        let values: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&bytes)
            .map_err(|e| place.damaged(e.to_string()).or_skip_part(Part::Uns))?;
        let uns = Uns {
            values,
            ..Uns::default()
        };
        Ok(uns.selected(&self.options.selection, &mut self.left_out))
    }
}

fn is_list(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::FixedSizeList(..) | DataType::List(_) | DataType::LargeList(_)
    )
}

/// Returns the width and type of lists that are embeddings.
fn floats(data_type: &DataType) -> Option<(u64, ScalarType)> {
    let DataType::FixedSizeList(item, width) = data_type else {
        return None;
    };
    let float_type = FloatType::of_arrow(item.data_type())?;
    Some((
        u64::try_from(*width).ok().filter(|width| *width > 0)?,
        float_type.into(),
    ))
}
