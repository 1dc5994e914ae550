//! Writes large h5ad files quickly and without Python.

use std::path::Path;

use hdf5_metno as hdf5;
use hdf5_metno::types::VarLenUnicode;

/// Writes a CSR h5ad of `cells` cells with `per_cell` entries each, in `genes` genes. `value`
/// returns the value of each entry, given its number.
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
    // In blocks, since these files are meant to be larger than what readers hold in memory.
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
        // Strictly ascending within a cell, and different between cells.
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

/// Opens a file that was just written, to change it. Locking is disabled: a child process that
/// another test starts at this moment may briefly hold the writer's lock.
pub fn open_again(path: &Path) -> hdf5::File {
    hdf5::FileBuilder::new()
        .with_fapl(|access| access.file_locking(false))
        .open_rw(path)
        .unwrap()
}

/// Writes a CSC h5ad of the same size as [`write_csr`]: `cells * per_cell` entries, spread evenly
/// over the genes.
pub fn write_csc(
    path: &Path,
    cells: usize,
    genes: usize,
    per_cell: usize,
    value: impl Fn(usize) -> f32,
) {
    // Seen from the genes, it is a matrix with as many entries and rows and columns exchanged.
    let per_gene = cells * per_cell / genes;
    write_csr(path, genes, cells, per_gene, value);
    let file = open_again(path);
    let x = file.group("X").unwrap();
    for name in ["encoding-type", "shape"] {
        x.delete_attr(name).unwrap();
    }
    text_attribute(&x, "encoding-type", "csc_matrix");
    let shape = x.new_attr::<i64>().shape(2).create("shape").unwrap();
    shape.write_raw(&[cells as i64, genes as i64]).unwrap();
    for (name, prefix, rows) in [("obs", "cell", cells), ("var", "gene", genes)] {
        file.unlink(name).unwrap();
        frame(&file, name, prefix, rows);
    }
}

/// Adds a list of strings to a file, and its parent group if that is missing. In a frame, it is
/// added to the list of columns.
pub fn add_texts(path: &Path, object: &str, rows: usize, text: impl Fn(usize) -> String) {
    let file = open_again(path);
    let (group, name) = object.rsplit_once('/').unwrap();
    let group = match file.group(group) {
        Ok(group) => group,
        Err(_) => file.create_group(group).unwrap(),
    };
    let dataset = group.new_dataset::<VarLenUnicode>().shape(rows);
    let dataset = dataset.create(name).unwrap();
    // In blocks, since the strings may be more than a test should hold in memory.
    let step = 10_000;
    for start in (0..rows).step_by(step) {
        let range = start..(start + step).min(rows);
        let texts: Vec<VarLenUnicode> = range
            .clone()
            .map(|row| text(row).parse().unwrap())
            .collect();
        dataset.write_slice(&texts, range).unwrap();
    }
    list_column(&group, name);
}

/// Adds a name to a frame's list of columns; other groups have none.
fn list_column(group: &hdf5::Group, name: &str) {
    if let Ok(order) = group.attr("column-order") {
        // An empty list has another type.
        let mut columns = match order.size() {
            0 => Vec::new(),
            _ => order.read_raw::<VarLenUnicode>().unwrap(),
        };
        columns.push(name.parse().unwrap());
        group.delete_attr("column-order").unwrap();
        let order = group.new_attr_builder().with_data(&columns);
        order.create("column-order").unwrap();
    }
}

/// Adds a list of numbers to a group of a file.
pub fn add_floats(path: &Path, object: &str, values: &[f64]) {
    let file = open_again(path);
    let (group, name) = object.rsplit_once('/').unwrap();
    let group = file.group(group).unwrap();
    let builder = group.new_dataset_builder();
    builder.with_data(values).create(name).unwrap();
    list_column(&group, name);
}

/// Adds a categorical column in which each row has a category of its own.
pub fn add_categories(path: &Path, object: &str, rows: usize, name: impl Fn(usize) -> String) {
    add_texts(path, &format!("{object}/categories"), rows, name);
    let file = open_again(path);
    let (frame, column) = object.rsplit_once('/').unwrap();
    list_column(&file.group(frame).unwrap(), column);
    let group = file.group(object).unwrap();
    text_attribute(&group, "encoding-type", "categorical");
    text_attribute(&group, "encoding-version", "0.2.0");
    let ordered = group.new_attr::<bool>().create("ordered").unwrap();
    ordered.write_scalar(&false).unwrap();
    let codes: Vec<i32> = (0..rows as i32).rev().collect();
    let codes = group.new_dataset_builder().with_data(&codes);
    codes.create("codes").unwrap();
}

/// Writes a CSR h5ad with these names and entries (cell, gene, value; sorted by cell).
pub fn write_named(
    path: &Path,
    cells: &[String],
    genes: &[String],
    entries: &[(usize, usize, f32)],
) {
    write_matrix(path, [cells.len(), genes.len()], entries, Stored::Csr, None);
    let file = open_again(path);
    for (name, names) in [("obs", cells), ("var", genes)] {
        let group = file.group(name).unwrap();
        group.unlink("_index").unwrap();
        let names: Vec<VarLenUnicode> = names.iter().map(|name| name.parse().unwrap()).collect();
        let index = group.new_dataset_builder().with_data(&names);
        index.create("_index").unwrap();
    }
}

/// How [`write_matrix`] stores X.
#[derive(Debug, Clone, Copy)]
pub enum Stored {
    Csr,
    Csc,
    Dense,
}

/// Filters that [`write_matrix`] applies to chunked arrays; `None` means contiguous arrays.
#[derive(Debug, Clone, Copy)]
pub struct Filters {
    pub chunk: usize,
    pub gzip: bool,
    pub shuffle: bool,
    pub fletcher32: bool,
}

fn store<T: hdf5::H5Type>(
    group: &hdf5::Group,
    name: &str,
    values: &[T],
    shape: &[usize],
    filters: Option<Filters>,
) {
    let builder = group.new_dataset::<T>();
    let builder = match filters {
        Some(filters) if !values.is_empty() => {
            let chunk: Vec<usize> = shape.iter().map(|&side| filters.chunk.min(side)).collect();
            let mut builder = builder.chunk(chunk);
            if filters.shuffle {
                builder = builder.shuffle();
            }
            if filters.gzip {
                builder = builder.deflate(1);
            }
            if filters.fletcher32 {
                builder = builder.fletcher32();
            }
            builder
        }
        _ => builder,
    };
    let dataset = builder.shape(shape).create(name).unwrap();
    if !values.is_empty() {
        dataset.write_raw(values).unwrap();
    }
}

/// Writes an h5ad with these entries (row, column, value; sorted by row, then column).
pub fn write_matrix(
    path: &Path,
    shape: [usize; 2],
    entries: &[(usize, usize, f32)],
    stored: Stored,
    filters: Option<Filters>,
) {
    let file = hdf5::File::create(path).unwrap();
    text_attribute(&file, "encoding-type", "anndata");
    text_attribute(&file, "encoding-version", "0.1.0");
    frame(&file, "obs", "cell", shape[0]);
    frame(&file, "var", "gene", shape[1]);
    let entries = entries.to_vec();
    if let Stored::Dense = stored {
        let mut dense = vec![0.0f32; shape[0] * shape[1]];
        for (row, column, value) in entries {
            dense[row * shape[1] + column] = value;
        }
        store(&file, "X", &dense, &shape, filters);
        let x = file.dataset("X").unwrap();
        text_attribute(&x, "encoding-type", "array");
        return;
    }
    compressed(&file, "X", shape, entries, stored, filters);
}

/// Adds another matrix of cells × genes to a file, in compressed sparse rows.
pub fn add_matrix(path: &Path, object: &str, shape: [usize; 2], entries: &[(usize, usize, f32)]) {
    let file = open_again(path);
    if let Some((parent, _)) = object.rsplit_once('/')
        && file.group(parent).is_err()
    {
        file.create_group(parent).unwrap();
    }
    compressed(&file, object, shape, entries.to_vec(), Stored::Csr, None);
}

fn compressed(
    file: &hdf5::File,
    object: &str,
    shape: [usize; 2],
    mut entries: Vec<(usize, usize, f32)>,
    stored: Stored,
    filters: Option<Filters>,
) {
    let (kind, majors) = match stored {
        Stored::Csc => ("csc_matrix", shape[1]),
        _ => ("csr_matrix", shape[0]),
    };
    let major = |entry: &(usize, usize, f32)| match stored {
        Stored::Csc => (entry.1, entry.0),
        _ => (entry.0, entry.1),
    };
    entries.sort_by_key(major);
    let x = file.create_group(object).unwrap();
    text_attribute(&x, "encoding-type", kind);
    let attribute = x.new_attr::<i64>().shape(2).create("shape").unwrap();
    attribute.write_raw(&shape.map(|side| side as i64)).unwrap();
    let ends = (0..=majors).map(|end| entries.partition_point(|entry| major(entry).0 < end) as i64);
    let indptr: Vec<i64> = ends.collect();
    let indices: Vec<i32> = entries.iter().map(|entry| major(entry).1 as i32).collect();
    let data: Vec<f32> = entries.iter().map(|entry| entry.2).collect();
    store(&x, "indptr", &indptr, &[indptr.len()], filters);
    store(&x, "indices", &indices, &[indices.len()], filters);
    store(&x, "data", &data, &[data.len()], filters);
}

pub fn text_attribute(object: &hdf5::Location, name: &str, text: &str) {
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
