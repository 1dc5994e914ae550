//! 10x Genomics matrices in HDF5, as written by Cell Ranger, Space Ranger and related software.
//!
//! The format is documented by 10x ("Feature-Barcode Matrices (HDF5)"). Since version 3 of Cell
//! Ranger there is one group, `matrix`, a CSC matrix of features × barcodes, that is, stored cell
//! by cell; before, there was one such group per genome, named after it. What other writers leave
//! out was learned from their files.

mod attributes;
mod genomes;
mod layout;
mod list;

use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::{RecordBatch, StringArray};

use self::genomes::GenomesMatrix;
use self::list::{CellColumns, Cells};
use super::error::Place;
use super::features::Genes;
use super::hdf5::Hdf5File;
use super::text::holder_of;
use super::{
    Axis, CellSource, Description, Format, Layout, Matrix, MatrixDescription, MatrixName, Numbers,
    OpenOptions, RepeatedName, SourceError, Uns,
};

pub(super) use layout::{Kind, kind_of};

/// An open 10x H5 file.
pub(super) struct TenxH5Source {
    description: Description,
    files: Vec<PathBuf>,
    place: Place,
    cells: Cells,
    cell_columns: CellColumns,
    genes: Genes,
    matrix: GenomesMatrix,
    uns: Uns,
}

impl TenxH5Source {
    /// Opens a file and reads its headers and its features.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, SourceError> {
        let file = Hdf5File::open(path, options)?;
        let place = file.place("");
        let groups = layout::matrices(&file, options)?;
        let matrix = GenomesMatrix::open(&file, &groups)?;
        let count = matrix.cells();
        let cells = Cells::open(&file, &groups, count, options)?;
        let mut left_out = Vec::new();
        let counts = matrix.features();
        let (list, features_place) =
            list::features(&file, &groups, &counts, options, &mut left_out)?;
        let mut genes = Genes::choose(list, &features_place, options)?;
        let matrix = matrix.keeping(genes.kept().clone());
        left_out.append(&mut genes.left_out);
        let cell_columns = CellColumns::open(&file, &groups, count, options, &mut left_out)?;
        left_out.extend(layout::unread(&file, &groups)?);
        let uns =
            attributes::read(&file, &mut left_out)?.selected(&options.selection, &mut left_out);
        let description = Description {
            path: path.to_path_buf(),
            format: Format::TenxH5,
            n_obs: count,
            n_vars: genes.count(),
            x: MatrixDescription {
                name: MatrixName::X,
                object: groups.object(),
                // CSC of features × barcodes is CSR of cells × genes.
                layout: Layout::Csr,
                number_type: matrix.number_type(),
                entries: Some(matrix.entries()),
            },
            layers: Vec::new(),
            obs: cell_columns.columns(),
            var: genes.columns(),
            obsm: Vec::new(),
            varm: Vec::new(),
            obsp: Vec::new(),
            varp: Vec::new(),
            uns: !uns.values.is_empty(),
            converted: genes.converted.drain(..).chain(cells.split()).collect(),
            left_out,
            warnings: std::mem::take(&mut genes.warnings),
        };
        let mut files = vec![holder_of(path)];
        files.extend(options.barcodes.clone());
        files.extend(options.features.clone());
        Ok(TenxH5Source {
            description,
            files,
            place,
            cells,
            cell_columns,
            genes,
            matrix,
            uns,
        })
    }
}

impl CellSource for TenxH5Source {
    fn description(&self) -> &Description {
        &self.description
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }

    fn obs_names(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        self.cells.ids(cells)
    }

    fn var_names(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        Ok(self.genes.ids(genes))
    }

    fn repeated_names(&self) -> Result<Vec<RepeatedName>, SourceError> {
        Ok(self.genes.repeated_names())
    }

    fn obs(&self, cells: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.cell_columns.read(cells, &self.place)
    }

    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.genes.read(genes, &self.place)
    }

    fn embedding(&self, _: Axis, name: &str, _: Range<u64>) -> Result<Numbers, SourceError> {
        Err(self.place.not_described(name))
    }

    fn uns(&self) -> Result<Uns, SourceError> {
        Ok(self.uns.clone())
    }

    fn matrix(&self, name: &MatrixName) -> Result<&dyn Matrix, SourceError> {
        match name {
            MatrixName::X => Ok(&self.matrix),
            other => Err(self.place.not_described(other)),
        }
    }
}
