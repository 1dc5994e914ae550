//! obs with obsm, and var with varm.

use arrow::array::Array as _;

use super::column::ColumnWriter;
use crate::parallel::WorkerFault;
use crate::sink::exact::exactly;
use crate::sink::hdf5::{ArrayOptions, ArrayWriter, Element, Filters, Group, TextsWriter};
use crate::sink::{FrameBlock, Outline, SinkError};
use crate::source::{Axis, Column, ColumnKind, Embedding, Note, ScalarType, TypedVec};

/// A frame that is being written.
pub(super) struct FrameWriter {
    frame: Group,
    index: TextsWriter,
    columns: Vec<ColumnWriter>,
    embeddings: Vec<EmbeddingWriter>,
}

/// An embedding that is being written: one array, or a column for each of its components.
struct EmbeddingWriter {
    number_type: ScalarType,
    arrays: Vec<ArrayWriter>,
}

const ARRAY: [&str; 2] = ["array", "0.2.0"];
const FRAME: [&str; 2] = ["dataframe", "0.2.0"];

impl FrameWriter {
    /// Begins a frame.
    pub fn create(
        root: &Group,
        axis: Axis,
        outline: &Outline,
        filters: Filters,
        notes: &mut Vec<Note>,
    ) -> Result<Self, SinkError> {
        let about = &outline.description;
        let (name, columns, rows) = match axis {
            Axis::Cells => ("obs", &about.obs, about.n_obs),
            Axis::Genes => ("var", &about.var, about.n_vars),
        };
        let original = about.originals.frame(axis);
        let frame = root.encoded(name, FRAME)?;
        let index = index_name(original.index.as_deref(), columns);
        if let Some(wanted) = original.index.as_deref().filter(|&wanted| wanted != index) {
            let reason = format!(
                "its index, which was called {wanted:?}, is called {index:?}: a column has the name"
            );
            notes.push(Note::new(name, reason));
        }
        frame.text("_index", &index)?;
        let order: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        if let Some(odd) = order.iter().find(|name| !is_writable(name)) {
            let flag = format!("leave it out with --skip '{name}:{odd}'");
            let what = format!("{name}: a column called {odd:?}, which HDF5 cannot hold");
            return Err(SinkError::unsupported(frame.file(), what, flag));
        }
        frame.texts("column-order", &order)?;
        let texts = frame.texts_array(&index, rows)?;
        let mut writers = Vec::with_capacity(columns.len());
        for column in columns {
            if column.kind == ColumnKind::Time {
                let object = format!("{name}/{}", column.name);
                notes.push(Note::new(
                    object,
                    "times became texts: anndata has no times",
                ));
            }
            let known = original.columns.get(&column.name).copied();
            writers.push(ColumnWriter::create(&frame, column, rows, known, filters)?);
        }
        let (part, embeddings) = match axis {
            Axis::Cells => ("obsm", &about.obsm),
            Axis::Genes => ("varm", &about.varm),
        };
        let group = root.open(part)?;
        let embeddings = embeddings.iter().map(|embedding| {
            let number_type = original.embeddings.get(&embedding.name).copied();
            let number_type = number_type.unwrap_or(embedding.number_type);
            EmbeddingWriter::create(&group, embedding, number_type, &frame, &index, filters)
        });
        Ok(FrameWriter {
            embeddings: embeddings.collect::<Result<_, _>>()?,
            frame,
            index: texts,
            columns: writers,
        })
    }

    /// Writes the next rows.
    pub fn push(&mut self, block: &FrameBlock) -> Result<(), SinkError> {
        self.index.push(&block.names)?;
        for (writer, values) in self.columns.iter_mut().zip(block.columns.columns()) {
            writer.push(&self.frame, values)?;
        }
        let rows = block.names.len();
        for (writer, numbers) in self.embeddings.iter().zip(&block.embeddings) {
            writer.push(numbers, rows)?;
        }
        Ok(())
    }

    /// Ends the frame.
    pub fn finish(self) -> Result<(), SinkError> {
        for column in self.columns {
            column.finish(&self.frame)?;
        }
        for array in self.embeddings.into_iter().flat_map(|e| e.arrays) {
            array.finish()?;
        }
        Ok(())
    }
}

impl EmbeddingWriter {
    fn create(
        group: &Group,
        embedding: &Embedding,
        number_type: ScalarType,
        frame: &Group,
        index: &str,
        filters: Filters,
    ) -> Result<Self, SinkError> {
        let array = |group: &Group, name: &str, width| {
            let options = ArrayOptions {
                element: Element::Number(number_type),
                width,
                filters,
                kind: ARRAY,
            };
            group.array(name, options)
        };
        let name = &embedding.name;
        let arrays = match &embedding.columns {
            None => vec![array(group, name, Some(embedding.width))?],
            Some(columns) => {
                let own = group.encoded(name, FRAME)?;
                let named: Vec<Column> = columns
                    .iter()
                    .map(|name| Column {
                        name: name.clone(),
                        kind: ColumnKind::Number(number_type),
                    })
                    .collect();
                let own_index = index_name(Some(index), &named);
                own.text("_index", &own_index)?;
                own.texts("column-order", columns)?;
                // The names of the rows are those of obs or var.
                own.link(&own_index, frame, index)?;
                let arrays = columns.iter().map(|name| array(&own, name, None));
                arrays.collect::<Result<_, _>>()?
            }
        };
        Ok(EmbeddingWriter {
            number_type,
            arrays,
        })
    }

    fn push(&self, numbers: &TypedVec, rows: usize) -> Result<(), SinkError> {
        // Types that were narrowed are widened again; both hold every value.
        let numbers = exactly(numbers, self.number_type)
            .map_err(|_| SinkError::Workers(WorkerFault::Died))?;
        if let [only] = &self.arrays[..] {
            let mut numbers = numbers;
            return only.push(&mut numbers);
        }
        let width = self.arrays.len();
        for (column, array) in self.arrays.iter().enumerate() {
            let positions: Vec<usize> = (0..rows).map(|row| row * width + column).collect();
            array.push(&mut numbers.picked(&positions))?;
        }
        Ok(())
    }
}

/// A name for the index that no column has.
fn index_name(wanted: Option<&str>, columns: &[Column]) -> String {
    let taken = |name: &str| columns.iter().any(|column| column.name == name);
    let wanted = wanted.filter(|name| is_writable(name) && !name.contains('/'));
    let numbered = (1..).map(|number| format!("_index_{number}"));
    let names = wanted.into_iter().chain(["_index"]).map(String::from);
    let free = names.chain(numbered).find(|name| !taken(name));
    free.unwrap_or_else(|| "_index".into())
}

/// Whether HDF5 has a path of this name, of which a slash makes one.
pub(super) fn is_writable(name: &str) -> bool {
    !name.contains('\0') && name.split('/').all(|step| !step.is_empty() && step != ".")
}
