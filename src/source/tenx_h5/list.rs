//! Barcodes and features of a file.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::genomes::different;
use super::layout::Groups;
use crate::remedy::{Remedy, Setting};
use crate::source::blocks::RowBlocks;
use crate::source::error::ErrorContext;
use crate::source::features::options::{BARCODES, FEATURES};
use crate::source::features::{FeatureList, OtherColumn, batch};
use crate::source::hdf5::{Element, Hdf5File, Kind, NumberArray};
use crate::source::lists::{CellList, read_features};
use crate::source::number_column::arrow_numbers;
use crate::source::text::TextFile;
use crate::source::{Column, ColumnKind, Note, OpenOptions, Part, SourceError};

/// Source of the cell identifiers.
pub(super) enum Cells {
    /// A dataset of the file.
    Texts(Hdf5File, String),
    /// A separate barcodes file, and its name.
    List(CellList, String),
}

impl Cells {
    /// Finds the barcodes and checks their number; all genomes must have the same.
    pub fn open(
        file: &Hdf5File,
        groups: &Groups,
        count: u64,
        options: &OpenOptions,
    ) -> Result<Self, SourceError> {
        if let Some(path) = options.own.file(&BARCODES) {
            let file = TextFile::new(path);
            let list = CellList::read(&file, count, options)?;
            if list.count() != count {
                return Err(list.place().damaged(format!(
                    "it lists {} cells where the matrix has {count}",
                    list.count()
                )));
            }
            return Ok(Cells::List(list, file.name()));
        }
        let names = groups.names();
        for group in &names {
            let object = format!("{group}/barcodes");
            if file.kind(&object)? == Kind::Missing {
                return Err(file.place(group).unsupported(
                    "a matrix without the dataset \"barcodes\", which names its cells,",
                    Remedy::using(
                        Setting::any(BARCODES.name),
                        "name a list of them, one per line",
                    ),
                ));
            }
            check_texts(file, &object, count)?;
        }
        let cells = Cells::Texts(file.clone(), format!("{}/barcodes", names[0]));
        for group in &names[1..] {
            let others = Cells::Texts(file.clone(), format!("{group}/barcodes"));
            let mut blocks = RowBlocks::new(0..count, 1);
            while let Some((range, ids)) = blocks.read(|range| cells.ids(range))? {
                blocks.held(ids.values().len() as u64);
                if ids != others.ids(range)? {
                    let sizes: Vec<_> = names.iter().map(|name| (name.clone(), count)).collect();
                    return Err(different(file, &sizes));
                }
            }
        }
        Ok(cells)
    }

    /// How a separate barcodes file was split into columns, if not at tabs.
    pub fn split(&self) -> Option<Note> {
        match self {
            Cells::Texts(..) => None,
            Cells::List(list, name) => Some(Note::new(name, list.split()?)),
        }
    }

    /// Returns the identifiers of a range of cells.
    pub fn ids(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        match self {
            Cells::Texts(_, _) if cells.is_empty() => Ok(StringArray::from(Vec::<String>::new())),
            Cells::Texts(file, object) => file.texts(object, cells),
            Cells::List(list, _) => list.ids(cells),
        }
    }
}

/// Checks that a dataset contains `count` text values.
fn check_texts(file: &Hdf5File, object: &str, count: u64) -> Result<(), SourceError> {
    let place = file.place(object);
    let header = file.array(object)?;
    if header.element != Element::Text {
        return Err(place.damaged("it does not hold texts"));
    }
    file.check_readable(object, &header)?;
    match header.shape[..] {
        [rows] if rows == count => Ok(()),
        _ => Err(place.damaged(format!(
            "its shape is {:?}, where the matrix needs {count}",
            header.shape
        ))),
    }
}

/// Columns that describe the cells.
pub(super) struct CellColumns {
    /// Whether Cell Ranger considers a barcode to be a cell, in files of probe counts.
    filtered: Option<NumberArray>,
}

/// The only column that Cell Ranger writes.
const FILTERED: &str = "filtered_barcodes";

impl CellColumns {
    /// Opens the selected columns.
    pub fn open(
        file: &Hdf5File,
        groups: &Groups,
        count: u64,
        options: &OpenOptions,
        left_out: &mut Vec<Note>,
    ) -> Result<Self, SourceError> {
        let object = format!("matrix/{FILTERED}");
        let none = Ok(CellColumns { filtered: None });
        if *groups != Groups::Matrix || file.kind(&object)? == Kind::Missing {
            return none;
        }
        if let Some(reason) = options.selection.excludes(Part::Obs, FILTERED) {
            left_out.push(Note::new(object, reason));
            return none;
        }
        let element = match file.kind(&object)? {
            Kind::Dataset => file.array(&object)?.element,
            _ => Element::Other("a group or a compound type".into()),
        };
        if !matches!(element, Element::Number { .. }) {
            let reason = "it holds no numbers, of which the column would be one";
            left_out.push(Note::new(object, reason));
            return none;
        }
        let filtered = file.numbers(&object)?;
        if filtered.shape() != [count] {
            let place = file.place(&object);
            return Err(place.damaged(format!(
                "its shape is {:?}, where the matrix needs {count}",
                filtered.shape()
            )));
        }
        Ok(CellColumns {
            filtered: Some(filtered),
        })
    }

    /// Names and types of the columns.
    pub fn columns(&self) -> Vec<Column> {
        let column = |numbers: &NumberArray| Column {
            name: FILTERED.into(),
            kind: ColumnKind::Number(numbers.number_type()),
        };
        self.filtered.iter().map(column).collect()
    }

    /// Reads the columns of a range of cells.
    pub fn read(
        &self,
        cells: Range<u64>,
        place: &ErrorContext,
    ) -> Result<RecordBatch, SourceError> {
        let rows = usize::try_from(cells.end - cells.start)
            .map_err(|_| place.damaged("it has absurdly many cells"))?;
        let mut columns = Vec::new();
        if let Some(numbers) = &self.filtered {
            columns.push((FILTERED, arrow_numbers(numbers.read(cells.clone())?, None)));
        }
        batch(columns.into_iter(), rows, place)
    }
}

/// Returns the features of the groups (with the given number in each), and where they are listed.
pub(super) fn features(
    file: &Hdf5File,
    groups: &Groups,
    counts: &[u64],
    options: &OpenOptions,
    left_out: &mut Vec<Note>,
) -> Result<(FeatureList, ErrorContext), SourceError> {
    let count = counts.iter().sum();
    if let Some(path) = options.own.file(&FEATURES) {
        let list = TextFile::new(path);
        let features = read_features(&list, count, options.memory / 4)?;
        if features.count as u64 != count {
            return Err(list.place().damaged(format!(
                "it lists {} features where the matrix has {count}",
                features.count
            )));
        }
        return Ok((features, ErrorContext::new(list.path(), list.name())));
    }
    let mut reader = ListReader {
        file,
        count,
        left_out,
    };
    match groups {
        Groups::Matrix => Ok((reader.of_matrix()?, file.place("matrix/features"))),
        Groups::Genomes(genomes) => {
            let list = reader.of_genomes(genomes, counts)?;
            Ok((list, file.place(&groups.object())))
        }
    }
}

/// Repeats a text `count` times.
fn repeated(text: &StringArray, count: u64) -> StringArray {
    let text = text.iter().next().flatten().unwrap_or_default();
    (0..count).map(|_| Some(text)).collect()
}

/// Why a member of the features is not a column.
const NO_COLUMN: &str = "it is no column, but a list or a group of lists";

/// Advice for users of a file without features.
fn name_features() -> Remedy {
    let to = "name a list of them (identifier and symbol, separated by a tab)";
    Remedy::using(Setting::any(FEATURES.name), to)
}

struct ListReader<'a> {
    file: &'a Hdf5File,
    count: u64,
    left_out: &'a mut Vec<Note>,
}

impl ListReader<'_> {
    /// Reads a text column of features, if it exists: one value per feature, or one that is stored
    /// once for all.
    fn column(&self, object: &str) -> Result<Option<StringArray>, SourceError> {
        if self.file.kind(object)? != Kind::Dataset {
            return Ok(None);
        }
        let header = self.file.array(object)?;
        if !header.shape.is_empty() || header.element != Element::Text {
            return self.texts(object, self.count);
        }
        let place = self.file.place(object);
        self.file.check_readable(object, &header)?;
        let text = self.file.texts(object, 0..1)?;
        let bytes = (text.values().len() as u64 + 4).saturating_mul(self.count);
        if bytes > (self.file.memory() / 4).min(i32::MAX as u64) {
            let advised = bytes.saturating_mul(8);
            return Err(place.too_large("a list of features", bytes, advised));
        }
        Ok(Some(repeated(&text, self.count)))
    }

    /// Adds a note for each member that cannot be a column.
    fn check_columns(&mut self, group: &str, names: &[&str]) -> Result<(), SourceError> {
        for name in names {
            let object = format!("{group}/{name}");
            if !matches!(self.file.kind(&object)?, Kind::Missing | Kind::Dataset) {
                self.left_out.push(Note::new(object, NO_COLUMN));
            }
        }
        Ok(())
    }

    /// Reads a text dataset, if it exists.
    fn texts(&self, object: &str, count: u64) -> Result<Option<StringArray>, SourceError> {
        if self.file.kind(object)? != Kind::Dataset {
            return Ok(None);
        }
        check_texts(self.file, object, count)?;
        self.file
            .list(object, count, "a list of features")
            .map(Some)
    }

    /// Version 3: each member of `features` is a column.
    fn of_matrix(&mut self) -> Result<FeatureList, SourceError> {
        const GROUP: &str = "matrix/features";
        if self.file.kind(GROUP)? != Kind::Group {
            return Err(self
                .file
                .place("matrix")
                .unsupported("a matrix without the group \"features\"", name_features()));
        }
        self.check_columns(GROUP, &["id", "name", "gene_id", "feature_type"])?;
        let text = |name: &str| self.texts(&format!("{GROUP}/{name}"), self.count);
        let (ids, symbols) = (text("id")?, text("name")?);
        if ids.is_none() && symbols.is_none() {
            return Err(self.file.place(GROUP).unsupported(
                "a list of features with neither \"id\" nor \"name\"",
                name_features(),
            ));
        }
        let mut list = FeatureList {
            count: self.count as usize,
            ids,
            symbols,
            genes_of_probes: text("gene_id")?,
            types: self.column(&format!("{GROUP}/feature_type"))?,
            genomes: self.column(&format!("{GROUP}/genome"))?,
            ..FeatureList::default()
        };
        // If there are only symbols, probes cannot be distinguished from genes.
        if list.ids.is_none() {
            list.ids = list.genes_of_probes.take();
        }
        let mut names = self.file.members(GROUP)?;
        names.sort();
        const KNOWN: [&str; 5] = ["id", "name", "gene_id", "feature_type", "_all_tag_keys"];
        for name in names
            .into_iter()
            .filter(|name| !KNOWN.contains(&name.as_str()))
        {
            list.others.extend(self.other(GROUP, name)?);
        }
        Ok(list)
    }

    /// Reads an additional tag if it is a column of text or numbers.
    fn other(&mut self, group: &str, name: String) -> Result<Option<OtherColumn>, SourceError> {
        let object = format!("{group}/{name}");
        if self.file.kind(&object)? != Kind::Dataset {
            self.left_out.push(Note::new(object, NO_COLUMN));
            return Ok(None);
        }
        let header = self.file.array(&object)?;
        let (kind, values) = match header.element {
            Element::Text => {
                let texts = self.column(&object)?;
                let Some(texts) = texts else { return Ok(None) };
                (ColumnKind::Text, Arc::new(texts) as ArrayRef)
            }
            // Stored once for all features.
            Element::Number { number_type, .. } if header.shape.is_empty() => {
                let number = self.file.flat_numbers(&object)?;
                let count = usize::try_from(self.count).unwrap_or(usize::MAX);
                let numbers = number.picked(&vec![0; count]);
                (
                    ColumnKind::Number(number_type),
                    arrow_numbers(numbers, None),
                )
            }
            Element::Number { number_type, .. } => {
                let numbers = self.file.numbers(&object)?;
                if numbers.shape() != [self.count] {
                    return Err(self.file.place(&object).damaged(format!(
                        "its shape is {:?}, where the matrix needs {}",
                        numbers.shape(),
                        self.count
                    )));
                }
                let numbers = numbers.read(0..self.count)?;
                (
                    ColumnKind::Number(number_type),
                    arrow_numbers(numbers, None),
                )
            }
            Element::Other(what) => {
                let reason = format!("{what} cannot be read as a column");
                self.left_out.push(Note::new(object, reason));
                return Ok(None);
            }
        };
        Ok(Some(OtherColumn { name, kind, values }))
    }

    /// Version 2: identifiers and symbols per genome; the genome is the name of its group.
    fn of_genomes(&self, genomes: &[String], counts: &[u64]) -> Result<FeatureList, SourceError> {
        let (mut ids, mut symbols) = (Some(Vec::new()), Some(Vec::new()));
        let mut of_genome: Vec<String> = Vec::new();
        for (genome, &rows) in genomes.iter().zip(counts) {
            for (list, name) in [(&mut ids, "genes"), (&mut symbols, "gene_names")] {
                match (&mut *list, self.texts(&format!("{genome}/{name}"), rows)?) {
                    (Some(all), Some(texts)) => {
                        all.extend(
                            texts
                                .iter()
                                .map(|text| text.unwrap_or_default().to_string()),
                        );
                    }
                    _ => *list = None,
                }
            }
            of_genome.resize(of_genome.len() + rows as usize, genome.clone());
        }
        if ids.is_none() && symbols.is_none() {
            return Err(self.file.place(&genomes.join(" + ")).unsupported(
                "a matrix with neither \"genes\" nor \"gene_names\"",
                name_features(),
            ));
        }
        let of_genome = StringArray::from(of_genome);
        Ok(FeatureList {
            count: self.count as usize,
            ids: ids.map(StringArray::from),
            symbols: symbols.map(StringArray::from),
            others: vec![OtherColumn {
                name: "genome".into(),
                kind: ColumnKind::Text,
                values: Arc::new(of_genome.clone()),
            }],
            genomes: Some(of_genome),
            ..FeatureList::default()
        })
    }
}
