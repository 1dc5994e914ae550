//! Large h5ad files, written quickly and without Python.

use std::path::Path;

use hdf5_metno as hdf5;
use hdf5_metno::types::VarLenUnicode;

/// Writes a CSR h5ad of `cells` cells with `per_cell` entries each, in `genes` genes. `value` gives
/// the value of each entry by its number.
pub fn write_csr(
    path: &Path,
    cells: usize,
    genes: usize,
    per_cell: usize,
    value: impl Fn(usize) -> f32,
) {
    let file = hdf5::File::create(path).unwrap();
    text_attribute(&file, "encoding-type", "anndata");
    text_attribute(&file, "encoding-version", "0.1.0");
    frame(&file, "obs", "cell", cells);
    frame(&file, "var", "gene", genes);
    let x = file.create_group("X").unwrap();
    text_attribute(&x, "encoding-type", "csr_matrix");
    text_attribute(&x, "encoding-version", "0.1.0");
    let shape = x.new_attr::<i64>().shape(2).create("shape").unwrap();
    shape.write_raw(&[cells as i64, genes as i64]).unwrap();
    let entries = cells * per_cell;
    let indptr: Vec<i64> = (0..=cells).map(|cell| (cell * per_cell) as i64).collect();
    x.new_dataset_builder()
        .with_data(&indptr)
        .create("indptr")
        .unwrap();
    // In pieces: the point of such files is that they are larger than what readers hold.
    let data = x
        .new_dataset::<f32>()
        .chunk(1 << 15)
        .shape(entries)
        .create("data")
        .unwrap();
    let indices = x
        .new_dataset::<i32>()
        .chunk(1 << 15)
        .shape(entries)
        .create("indices")
        .unwrap();
    let step = 1 << 20;
    for start in (0..entries).step_by(step) {
        let range = start..(start + step).min(entries);
        let values: Vec<f32> = range.clone().map(&value).collect();
        // Strictly ascending within a cell, and different from cell to cell.
        let stride = genes / per_cell;
        let columns: Vec<i32> = range
            .clone()
            .map(|entry| {
                let (cell, position) = (entry / per_cell, entry % per_cell);
                (position * stride + cell % stride) as i32
            })
            .collect();
        data.write_slice(&values, range.clone()).unwrap();
        indices.write_slice(&columns, range).unwrap();
    }
}

fn text_attribute(object: &hdf5::Location, name: &str, text: &str) {
    let text: VarLenUnicode = text.parse().unwrap();
    object
        .new_attr::<VarLenUnicode>()
        .create(name)
        .unwrap()
        .write_scalar(&text)
        .unwrap();
}

fn frame(file: &hdf5::File, name: &str, prefix: &str, rows: usize) {
    let group = file.create_group(name).unwrap();
    text_attribute(&group, "encoding-type", "dataframe");
    text_attribute(&group, "encoding-version", "0.2.0");
    text_attribute(&group, "_index", "_index");
    group
        .new_attr::<f64>()
        .shape(0)
        .create("column-order")
        .unwrap();
    let names: Vec<VarLenUnicode> = (0..rows)
        .map(|row| format!("{prefix}{row}").parse().unwrap())
        .collect();
    group
        .new_dataset_builder()
        .with_data(&names)
        .create("_index")
        .unwrap();
}
