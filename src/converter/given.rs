//! Inputs as given by a caller of the library.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Error;
use crate::source::{
    CellSource, Inputs, NamedInput, OpenOptions, SourceError, discover, prefixes, tell_apart,
};

/// An input, or a location that contains several.
enum Given {
    /// A file, a folder or an archive, in which inputs are searched for.
    Path(PathBuf),
    /// An input with its own options; not searched.
    With(PathBuf, Box<OpenOptions>),
    /// An input opened by the caller.
    Open(Arc<dyn CellSource>),
}

/// All inputs of a job.
#[derive(Default)]
pub(super) struct GivenInputs {
    given: Vec<Given>,
    /// Options for inputs without their own.
    pub defaults: OpenOptions,
    /// Template of the prefix of their cells' identifiers.
    pub prefix: Option<String>,
}

impl GivenInputs {
    /// Adds a file, a folder or an archive.
    pub fn path(&mut self, path: PathBuf) {
        self.given.push(Given::Path(path));
    }

    /// Adds an input with its own options.
    pub fn with(&mut self, path: PathBuf, options: OpenOptions) {
        self.given.push(Given::With(path, Box::new(options)));
    }

    /// Adds an opened input.
    pub fn open(&mut self, source: Arc<dyn CellSource>) {
        self.given.push(Given::Open(source));
    }

    /// Returns the inputs of a job with these resources, in the given order.
    pub fn inputs(self, memory: u64, threads: usize) -> Result<Inputs, Error> {
        let with_resources = |options: OpenOptions| OpenOptions {
            memory,
            threads,
            ..options
        };
        let defaults = with_resources(self.defaults);
        // Inputs with their own options get their names there.
        let mut named = Vec::new();
        let mut places = Vec::new();
        for given in self.given {
            match given {
                Given::Path(path) => {
                    for input in discovered(&path, &defaults)? {
                        places.push(Place::Named(named.len()));
                        named.push(NamedInput::found(input));
                    }
                }
                Given::With(path, options) => places.push(Place::Own(path, options)),
                Given::Open(source) => places.push(Place::Open(source)),
            }
        }
        if places.is_empty() {
            return Err(Error::Usage("a conversion needs an input".into()));
        }
        tell_apart(&mut named);
        let prefixes = self.prefix.map(|template| prefixes(&named, &template));
        let mut inputs = Inputs::default();
        for place in places {
            match place {
                Place::Named(number) => {
                    let options = OpenOptions {
                        source_name: named[number].name.clone(),
                        cell_id_prefix: prefixes.as_ref().map(|all| all[number].clone()),
                        ..defaults.clone()
                    };
                    inputs.push_path(named[number].path.clone(), options);
                }
                Place::Own(path, options) => inputs.push_path(path, with_resources(*options)),
                Place::Open(source) => inputs.push_open(source),
            }
        }
        Ok(inputs)
    }
}

/// Origin of an input of a job.
enum Place {
    Named(usize),
    Own(PathBuf, Box<OpenOptions>),
    Open(Arc<dyn CellSource>),
}

fn discovered(path: &std::path::Path, options: &OpenOptions) -> Result<Vec<PathBuf>, SourceError> {
    let found = discover(path, options)?;
    for passed_over in &found.passed_over {
        let path = passed_over.path.display();
        tracing::warn!("passed over {path}: {}", passed_over.reason);
    }
    Ok(found.inputs)
}
