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
use self::layout::Kind;
use self::list::{CellColumns, Cells};
use super::error::ErrorContext;
use super::features::options::{BARCODES, FEATURE_TYPE, FEATURES, GENE_ID, GENOME};
use super::features::{self, Genes};
use super::hdf5::Hdf5File;
use super::other_hdf5;
use super::text::holder_of;
use super::{
    CellSource, Description, Format, InputFormat, Layout, Matrix, MatrixDescription, MatrixName,
    OpenOptions, OptionSpec, Originals, Probe, ProbedPath, RepeatedName, SourceError, Uns,
};

/// A matrix of 10x Genomics in HDF5.
pub(super) struct TenxH5;

impl InputFormat for TenxH5 {
    fn name(&self) -> &'static str {
        "10x-h5"
    }

    fn about(&self) -> &'static str {
        "10x Genomics in HDF5"
    }

    fn looks_like(&self) -> &'static str {
        ".h5"
    }

    fn options(&self) -> &'static [&'static OptionSpec] {
        &[&GENOME, &FEATURE_TYPE, &GENE_ID, &BARCODES, &FEATURES]
    }

    fn probe(&self, site: &ProbedPath<'_>) -> Result<Probe, SourceError> {
        let Some(file) = site.hdf5()? else {
            return Ok(Probe::No);
        };
        let foreign = other_hdf5::called(&file.members("")?);
        Ok(match (layout::kind_of(file)?, foreign) {
            (Kind::Other, _) => Probe::No,
            (Kind::Matrix, None) => Probe::Yes,
            // Analyses have the matrix that they are of.
            (Kind::Matrix, Some(what)) => Probe::Beside(what.into()),
            (Kind::Molecules, _) => Probe::Foreign {
                called: "a molecule_info file of Cell Ranger".into(),
                refusal: Box::new(ErrorContext::whole(site.path()).unsupported(
                    "a molecule_info file of Cell Ranger, which lists molecules,",
                    "give the matrix that lies beside it: filtered_feature_bc_matrix.h5",
                )),
            },
        })
    }

    fn open(&self, path: &Path, options: &OpenOptions) -> Result<Box<dyn CellSource>, SourceError> {
        features::options::check(&ErrorContext::whole(path), options)?;
        Ok(Box::new(TenxH5Source::open(path, options)?))
    }
}

/// An open 10x H5 file.
pub(super) struct TenxH5Source {
    description: Description,
    files: Vec<PathBuf>,
    place: ErrorContext,
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
            format: Format::named(TenxH5.name()),
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
            originals: Originals::default(),
        };
        let mut files = vec![holder_of(path)];
        files.extend(options.own.file_buf(&BARCODES));
        files.extend(options.own.file_buf(&FEATURES));
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
