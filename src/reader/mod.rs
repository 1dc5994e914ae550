//! Reading a dataset, as a caller of the library does it.

mod matrix;

use std::ops::{Bound, Range, RangeBounds};
use std::path::{Path, PathBuf};

use arrow::array::{RecordBatch, StringArray};

pub use matrix::MatrixReader;

use crate::error::Error;
use crate::export::Exporter;
use crate::query::{Batches, Connection, NamedDataset, Resources};
use crate::source::{Axis, CellSource, Description, MatrixName, OpenOptions, TypedVec, Uns, open};

/// An open dataset, or an open input of any other format.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let atlas = folder.path().join("atlas.slaf");
/// # let _ = slaf::Converter::new().input("fixtures/h5ad/demo.h5ad").write(&atlas)?;
/// let atlas = slaf::open(&atlas)?;
/// assert_eq!((atlas.n_obs(), atlas.n_vars()), (200, 300));
///
/// // In chunks, in bounded memory.
/// let mut entries = 0;
/// for chunk in atlas.x().rows(0..100).chunks()? {
///     let chunk = chunk?;
///     assert_eq!(chunk.indptr.len() as u64, chunk.rows.end - chunk.rows.start + 1);
///     entries += chunk.data.len();
/// }
/// // At once, as compressed sparse rows of `f64`: all genes, or some.
/// assert_eq!(atlas.to_csr(0..100, 0..300)?.nnz(), entries);
/// assert_eq!(atlas.to_csr(0..100, [7, 3])?.shape(), (100, 2));
///
/// assert_eq!(atlas.obs(..)?.num_rows(), 200);
/// # Ok::<(), slaf::Error>(())
/// ```
pub struct Reader {
    path: PathBuf,
    source: Box<dyn CellSource>,
    options: OpenOptions,
}

/// Opens a dataset for reading, in the versions of its tables that its config.json describes.
/// Inputs of other formats are opened likewise.
///
/// # Errors
/// If nothing there can be read, or the dataset is damaged or incomplete.
pub fn open_reader(path: impl AsRef<Path>) -> Result<Reader, Error> {
    open_with(path, &OpenOptions::default())
}

/// Opens a dataset or an input with options: a subset of its cells or genes, another matrix as X.
///
/// # Errors
/// As [`crate::open`]; and if the options cannot be applied.
pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Reader, Error> {
    let source = open(path.as_ref(), options)?;
    Ok(Reader {
        path: path.as_ref().to_path_buf(),
        source,
        options: options.clone(),
    })
}

impl Reader {
    /// Number of cells.
    pub fn n_obs(&self) -> u64 {
        self.source.description().n_obs
    }

    /// Number of genes.
    pub fn n_vars(&self) -> u64 {
        self.source.description().n_vars
    }

    /// Everything that the headers say: columns, layers, embeddings, and what is left out.
    pub fn description(&self) -> &Description {
        self.source.description()
    }

    /// The main matrix, cells × genes.
    pub fn x(&self) -> MatrixReader<'_> {
        MatrixReader::new(&*self.source, MatrixName::X, self.n_vars())
    }

    /// A layer, cells × genes, by its name. Reading one that does not exist fails.
    pub fn layer(&self, name: &str) -> MatrixReader<'_> {
        MatrixReader::new(&*self.source, MatrixName::Layer(name.into()), self.n_vars())
    }

    /// A matrix of cells × cells. Reading one that does not exist fails.
    pub fn obsp(&self, name: &str) -> MatrixReader<'_> {
        MatrixReader::new(&*self.source, MatrixName::Obsp(name.into()), self.n_obs())
    }

    /// A matrix of genes × genes. Reading one that does not exist fails.
    pub fn varp(&self, name: &str) -> MatrixReader<'_> {
        MatrixReader::new(&*self.source, MatrixName::Varp(name.into()), self.n_vars())
    }

    /// The rows `rows` of X and its columns `genes`, in the order in which they are given, as
    /// compressed sparse rows. The result is held in memory.
    ///
    /// # Errors
    /// If a position is outside of the matrix, a value is not exact as `f64`, or reading fails.
    pub fn to_csr(
        &self,
        rows: impl RangeBounds<u64>,
        genes: impl IntoIterator<Item = u64>,
    ) -> Result<sprs::CsMat<f64>, Error> {
        self.x().rows(rows).to_csr(genes)
    }

    /// The identifiers of a range of cells.
    ///
    /// # Errors
    /// If the range is outside of the dataset, or reading fails.
    pub fn obs_names(&self, cells: impl RangeBounds<u64>) -> Result<StringArray, Error> {
        Ok(self
            .source
            .obs_names(within(cells, self.n_obs(), "cells")?)?)
    }

    /// The identifiers of a range of genes.
    ///
    /// # Errors
    /// As [`Reader::obs_names`].
    pub fn var_names(&self, genes: impl RangeBounds<u64>) -> Result<StringArray, Error> {
        Ok(self
            .source
            .var_names(within(genes, self.n_vars(), "genes")?)?)
    }

    /// The columns of obs for a range of cells: categoricals as dictionaries, missing values as nulls.
    ///
    /// # Errors
    /// As [`Reader::obs_names`].
    pub fn obs(&self, cells: impl RangeBounds<u64>) -> Result<RecordBatch, Error> {
        Ok(self.source.obs(within(cells, self.n_obs(), "cells")?)?)
    }

    /// The columns of var for a range of genes.
    ///
    /// # Errors
    /// As [`Reader::obs_names`].
    pub fn var(&self, genes: impl RangeBounds<u64>) -> Result<RecordBatch, Error> {
        Ok(self.source.var(within(genes, self.n_vars(), "genes")?)?)
    }

    /// An embedding for a range of cells (obsm): `rows × width` numbers, row after row.
    ///
    /// # Errors
    /// As [`Reader::obs_names`]; and if there is no such embedding.
    pub fn obsm(&self, name: &str, cells: impl RangeBounds<u64>) -> Result<TypedVec, Error> {
        let cells = within(cells, self.n_obs(), "cells")?;
        Ok(self.source.embedding(Axis::Cells, name, cells)?)
    }

    /// An embedding for a range of genes (varm): `rows × width` numbers, row after row.
    ///
    /// # Errors
    /// As [`Reader::obsm`].
    pub fn varm(&self, name: &str, genes: impl RangeBounds<u64>) -> Result<TypedVec, Error> {
        let genes = within(genes, self.n_vars(), "genes")?;
        Ok(self.source.embedding(Axis::Genes, name, genes)?)
    }

    /// Asks a dataset in SQL, read-only; see [`crate::query`]. The rows of the answer are read while
    /// they are taken.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("atlas.slaf");
    /// # let _ = slaf::Converter::new().input("fixtures/h5ad/demo.h5ad").write(&path)?;
    /// let atlas = slaf::open(&path)?;
    /// let mut cells = 0;
    /// for batch in atlas.query("SELECT cell_id FROM cells WHERE n_genes() > 0")? {
    ///     cells += batch?.num_rows();
    /// }
    /// # assert_eq!(cells, 200);
    /// # Ok::<(), slaf::Error>(())
    /// ```
    ///
    /// # Errors
    /// If it is not a dataset but an input of another format, or there is something wrong with the
    /// query.
    pub fn query(&self, sql: &str) -> Result<Batches, Error> {
        let datasets = [NamedDataset::given(&self.path)?];
        let connection = Connection::open(&datasets, &Resources::default())?;
        Ok(connection.query(sql, None)?)
    }

    /// What is neither a table nor a matrix.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn uns(&self) -> Result<Uns, Error> {
        Ok(self.source.uns()?)
    }

    /// An export of what was opened, with the options with which it was.
    pub fn export(&self) -> Exporter<'static> {
        Exporter::new(self.path.clone()).open_options(self.options.clone())
    }

    /// The source itself, for the stages of a conversion.
    pub fn into_source(self) -> Box<dyn CellSource> {
        self.source
    }
}

/// A range of positions, checked against their number.
fn within(range: impl RangeBounds<u64>, length: u64, what: &str) -> Result<Range<u64>, Error> {
    let start = match range.start_bound() {
        Bound::Included(&start) => Some(start),
        Bound::Excluded(&before) => before.checked_add(1),
        Bound::Unbounded => Some(0),
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.checked_add(1),
        Bound::Excluded(&end) => Some(end),
        Bound::Unbounded => Some(length),
    };
    match (start, end) {
        (Some(start), Some(end)) if start <= end && end <= length => Ok(start..end),
        (start, end) => {
            let shown = |bound: Option<u64>| bound.unwrap_or(u64::MAX);
            Err(Error::Usage(format!(
                "{what} {}..{} were asked for, of {length}",
                shown(start),
                shown(end)
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        assert_eq!(within(.., 5, "cells").unwrap(), 0..5);
        assert_eq!(within(2..=4, 5, "cells").unwrap(), 2..5);
        assert_eq!(within(5.., 5, "cells").unwrap(), 5..5);
        let too_many = within(3..6, 5, "cells").unwrap_err();
        assert_eq!(too_many.to_string(), "cells 3..6 were asked for, of 5");
        assert!(within(0..=u64::MAX, 5, "cells").is_err());
    }

    #[test]
    fn slices_are_those_of_the_file() {
        let reader = open_reader("fixtures/h5ad/demo.h5ad").unwrap();
        let all = reader.to_csr(.., 0..300).unwrap();
        let some = reader.to_csr(50..60, [299, 0, 17]).unwrap();
        assert_eq!(some.shape(), (10, 3));
        for row in 0..10 {
            for (column, gene) in [299, 0, 17].into_iter().enumerate() {
                assert_eq!(some.get(row, column), all.get(row + 50, gene));
            }
        }
        assert!(reader.to_csr(.., [300]).is_err());
        assert!(reader.to_csr(.., [1, 1]).is_err());
        assert!(reader.layer("none").chunks().is_err());
    }
}
