//! Promise: a format of somebody else's is read like those of slaf itself.

use slaf::source::{self, Formats, OpenOptions, discover};
use slaf::{Converter, Join};

use crate::support::dataset::triplets;
use crate::support::repository;

#[path = "../examples/own_format/toy.rs"]
mod toy;

fn options() -> OpenOptions {
    OpenOptions {
        formats: Formats::default().with(&toy::Toy),
        ..OpenOptions::default()
    }
}

const TOY: &str = "toy Actb Gapdh Malat1\nc1 3 0 1\nc2 0 7 0\nc3 0 0 0\n";

#[test]
fn a_toy_becomes_a_dataset_as_others_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("play.txt"), TOY).unwrap();
    std::fs::write(at("notes.txt"), "no toy").unwrap();
    std::fs::copy(repository("fixtures/h5ad/demo.h5ad"), at("demo.h5ad")).unwrap();
    let found = discover(folder.path(), &options()).unwrap();
    assert_eq!(found.inputs, [at("demo.h5ad"), at("play.txt")]);
    let converter = Converter::new().open_options(options());
    let toy = converter
        .input(at("play.txt"))
        .write(at("toy.slaf"))
        .unwrap();
    assert_eq!((toy.n_obs(), toy.n_vars(), toy.nnz()), (3, 3, 3));
    let wanted = [(0, 0, 3.0), (0, 2, 1.0), (1, 1, 7.0)];
    assert_eq!(triplets(&at("toy.slaf")), wanted);
    let both = Converter::new().open_options(options()).join(Join::Outer);
    let both = both.obs_join(Join::Outer).var_join(Join::Outer);
    let summary = both.input(at("demo.h5ad")).input(at("play.txt"));
    let summary = summary.write(at("both.slaf")).unwrap();
    assert_eq!((summary.n_obs(), summary.n_vars()), (203, 303));
}

#[test]
fn its_options_are_kept_and_refused_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("play.txt");
    std::fs::write(&path, TOY).unwrap();
    let least = options().with("toy-least", "3").unwrap();
    let entries = |options: &OpenOptions| {
        let source = source::open(&path, options).unwrap();
        source.description().x.entries
    };
    assert_eq!((entries(&options()), entries(&least)), (Some(3), Some(2)));
    // As a plan keeps it.
    let written = serde_json::to_string(&least).unwrap();
    assert!(
        written.contains(r#""gene_id":"symbol","toy_least":"3""#),
        "{written}"
    );
    let mut read: OpenOptions = serde_json::from_str(&written).unwrap();
    let message = |path: &std::path::Path, options: &OpenOptions| {
        source::open(path, options).err().unwrap().to_string()
    };
    // A program that does not know the format does not guess.
    read.format = Some(slaf::source::Format::named("10x-mtx"));
    assert!(message(&path, &read).contains("\"toy_least\""));
    read.format = None;
    read.formats = options().formats;
    assert_eq!((&read, entries(&read)), (&least, Some(2)));
    let demo = repository("fixtures/h5ad/demo.h5ad");
    let refused = message(&demo, &least);
    assert!(
        refused.contains("the option toy-least: the input is no toy"),
        "{refused}"
    );
    let refused = message(&path, &options().with("gene-id", "ensembl").unwrap());
    assert!(
        refused.contains("the option gene-id: the input is no 10x matrix"),
        "{refused}"
    );
    assert!(
        options().with("toy-most", "3").is_err()
            && OpenOptions::default().with("toy-least", "3").is_err()
    );
}
