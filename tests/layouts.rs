//! Promise: the dataset does not depend on the layout of a matrix in its file.

use proptest::prelude::*;
use slaf::dataset::Dataset;

use crate::support::dataset::{Triplets, assert_no_orphans, same, triplets};
use crate::support::h5ad_writer::{Filters, Stored, write_matrix};
use crate::support::program::{Run, convert};

/// Entries of a sparse matrix in row-major order.
fn matrices() -> impl Strategy<Value = ([usize; 2], Vec<(usize, usize, f32)>)> {
    (1usize..40, 1usize..30).prop_flat_map(|(rows, columns)| {
        prop::collection::btree_map((0..rows, 0..columns), 1u16..2000, 0..200).prop_map(
            move |entries| {
                let entries = entries.into_iter();
                let entries = entries.map(|((row, column), value)| (row, column, f32::from(value)));
                ([rows, columns], entries.collect())
            },
        )
    })
}

fn filters() -> impl Strategy<Value = Option<Filters>> {
    prop::option::of((1usize..70, any::<[bool; 3]>()).prop_map(
        |(chunk, [gzip, shuffle, fletcher32])| Filters {
            chunk,
            gzip,
            shuffle,
            fletcher32,
        },
    ))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn rows_columns_and_dense_give_one_dataset(
        (shape, entries) in matrices(),
        filters in [filters(), filters(), filters()],
        fragment_rows in prop_oneof![Just("7"), Just("100000000")],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let wanted: Triplets = entries
            .iter()
            .map(|&(row, column, value)| (row as u64, column as u64, f64::from(value)))
            .collect();
        let mut digests = Vec::new();
        for (number, stored) in [Stored::Csr, Stored::Csc, Stored::Dense].into_iter().enumerate() {
            let input = folder.path().join(format!("{number}.h5ad"));
            let output = folder.path().join(format!("{number}.slaf"));
            write_matrix(&input, shape, &entries, stored, filters[number]);
            let flags = ["--fragment-rows", fragment_rows, "--threads", "2"];
            Run::of(&mut convert(&input, &output, &flags)).succeeded();
            prop_assert!(same(&triplets(&output), &wanted), "{stored:?} {:?}", filters[number]);
            assert_no_orphans(&output);
            let dataset = Dataset::open(&output).unwrap();
            let source = &dataset.config().sources[0];
            digests.push((source.digests.clone(), dataset.config().metadata.clone()));
        }
        prop_assert_eq!(&digests[0], &digests[1]);
        prop_assert_eq!(&digests[0], &digests[2]);
    }
}
