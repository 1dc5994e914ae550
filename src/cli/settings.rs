//! Settings: the defaults, a file, variables and flags, each overriding the one before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use serde::Deserialize;

use super::allocator;
use super::arguments::{
    CompressionArgument, DtypesArgument, FormatArguments, ProgressArgument, ReadArguments,
    ResourceArguments, ValueTypeArgument, WriteArguments,
};
use crate::error::Error;
use crate::ingest::affordable_threads;
use crate::plan::{Compression, Dtypes, PlanOptions};
use crate::source::{Format, FormatOptions, Formats, OptionScope, OptionValue};
use crate::store::read_text;
use crate::survey::ValueType;

/// The defaults, as the repository has them.
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Bytes of a file of settings, at most.
const LONGEST: u64 = 1 << 20;

/// The least memory with which the program does its work.
const LEAST_MEMORY: u64 = 256 << 20;

/// Checked settings of a conversion.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub format: Option<Format>,
    /// Options that only some formats have.
    pub own: FormatOptions,
    pub plan: PlanOptions,
    pub chunk_cells: u64,
    pub memory: u64,
    pub threads: usize,
    pub progress: ProgressArgument,
    /// The folder for temporary files.
    pub scratch: PathBuf,
}

/// Settings of one origin.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Layer {
    format: Option<Format>,
    dtypes: Option<DtypesArgument>,
    value_type: Option<ValueTypeArgument>,
    compression: Option<CompressionArgument>,
    fragment_rows: Option<u64>,
    chunk_size: Option<u64>,
    memory: Option<ByteSize>,
    threads: Option<usize>,
    progress: Option<ProgressArgument>,
    scratch_dir: Option<PathBuf>,
    /// Options that only some formats have, by their names.
    #[serde(flatten)]
    own: BTreeMap<String, OptionValue>,
}

impl Layer {
    fn parse(text: &str, origin: &str) -> Result<Self, Error> {
        let wrong = |error: toml::de::Error| {
            Error::Usage(format!("{origin}: {}", error.to_string().trim_end()))
        };
        let layer: Layer = toml::from_str(text).map_err(wrong)?;
        let settings = Formats::default().options().into_iter();
        let settings = settings.filter(|spec| spec.scope == OptionScope::Settings);
        let settings: Vec<&str> = settings.map(|spec| spec.name).collect();
        match layer
            .own
            .keys()
            .find(|key| !settings.contains(&key.as_str()))
        {
            Some(key) => Err(Error::Usage(format!("{origin}: unknown setting {key:?}"))),
            None => Ok(layer),
        }
    }

    fn from_file(path: &Path) -> Result<Self, Error> {
        let text = read_text(path, LONGEST)
            .map_err(|error| Error::Usage(format!("cannot read {}: {error}", path.display())))?;
        Layer::parse(&text, &path.display().to_string())
    }

    /// Flags, and the variables that stand for them.
    fn from_arguments(
        read: &ReadArguments,
        write: &WriteArguments,
        resources: &ResourceArguments,
    ) -> Self {
        Layer {
            format: read.format.clone(),
            own: given_by_name(&read.own),
            dtypes: write.dtypes,
            value_type: write.value_type,
            compression: write.compression,
            fragment_rows: write.fragment_rows,
            chunk_size: resources.chunk_size,
            memory: resources.memory,
            threads: resources.threads,
            progress: resources.progress,
            scratch_dir: resources.scratch_dir.clone(),
        }
    }

    /// What the program may use.
    fn of_resources(resources: &ResourceArguments) -> Self {
        Layer {
            chunk_size: resources.chunk_size,
            memory: resources.memory,
            threads: resources.threads,
            progress: resources.progress,
            scratch_dir: resources.scratch_dir.clone(),
            ..Layer::default()
        }
    }

    fn over(self, below: Layer) -> Layer {
        let mut own = below.own;
        own.extend(self.own);
        Layer {
            format: self.format.or(below.format),
            own,
            dtypes: self.dtypes.or(below.dtypes),
            value_type: self.value_type.or(below.value_type),
            compression: self.compression.or(below.compression),
            fragment_rows: self.fragment_rows.or(below.fragment_rows),
            chunk_size: self.chunk_size.or(below.chunk_size),
            memory: self.memory.or(below.memory),
            threads: self.threads.or(below.threads),
            progress: self.progress.or(below.progress),
            scratch_dir: self.scratch_dir.or(below.scratch_dir),
        }
    }
}

impl Settings {
    /// Lays the flags over the file over the defaults, and checks the result.
    pub fn gather(
        read: &ReadArguments,
        write: &WriteArguments,
        resources: &ResourceArguments,
    ) -> Result<Self, Error> {
        Settings::laid_over(Layer::from_arguments(read, write, resources), resources)
    }

    /// Likewise for a command that writes no dataset.
    pub fn of_resources(resources: &ResourceArguments) -> Result<Self, Error> {
        Settings::laid_over(Layer::of_resources(resources), resources)
    }

    fn laid_over(given: Layer, resources: &ResourceArguments) -> Result<Self, Error> {
        let defaults = Layer::parse(DEFAULTS, "config/default.toml")?;
        let file = match &resources.config {
            Some(path) => Layer::from_file(path)?,
            None => Layer::default(),
        };
        let settings = Settings::check(given.over(file).over(defaults))?;
        allocator::spare(settings.memory);
        Ok(settings)
    }

    fn check(layer: Layer) -> Result<Self, Error> {
        let dtypes = match required(layer.dtypes, "dtypes")? {
            DtypesArgument::Narrow => Dtypes::Narrow,
            DtypesArgument::Signed => Dtypes::Signed,
        };
        let value_type = match required(layer.value_type, "value-type")? {
            ValueTypeArgument::Auto => None,
            ValueTypeArgument::Uint16 => Some(ValueType::UInt16),
            ValueTypeArgument::Uint32 => Some(ValueType::UInt32),
            ValueTypeArgument::Float32 => Some(ValueType::Float32),
            ValueTypeArgument::Float64 => Some(ValueType::Float64),
        };
        let compression = match required(layer.compression, "compression")? {
            CompressionArgument::Auto => dtypes.best_compression(),
            CompressionArgument::None => Compression::None,
            CompressionArgument::Lz4 => Compression::Lz4,
            CompressionArgument::Zstd => Compression::Zstd,
        };
        let fragment_rows = required(layer.fragment_rows, "fragment-rows")?;
        if fragment_rows == 0 {
            return Err(Error::Usage("fragment-rows must be at least 1".into()));
        }
        let memory = enough_memory(required(layer.memory, "memory")?)?;
        let scratch = layer.scratch_dir.unwrap_or_else(std::env::temp_dir);
        if !scratch.is_dir() {
            return Err(Error::Usage(format!(
                "--scratch-dir {} is not a folder",
                scratch.display()
            )));
        }
        let wanted = threads_or_all(required(layer.threads, "threads")?);
        let threads = affordable_threads(wanted, memory);
        if threads < wanted {
            tracing::info!(
                "the memory suffices for {threads} of {wanted} threads; grant more with --memory"
            );
        }
        let chunk_cells = match required(layer.chunk_size, "chunk-size")? {
            0 => u64::MAX,
            cells => cells,
        };
        let formats = Formats::default();
        let mut own = FormatOptions::default();
        for (name, value) in layer.own {
            if let Some(spec) = formats.options().into_iter().find(|spec| spec.name == name) {
                let set = own.set(spec, value);
                set.map_err(|problem| Error::Usage(format!("{name}: {problem}")))?;
            }
        }
        let format = layer.format;
        if let Some(format) = &format
            && formats.get(format.as_str()).is_none()
        {
            let known: Vec<&str> = formats.iter().map(|format| format.name()).collect();
            let known = known.join(", ");
            return Err(Error::Usage(format!("format: {format} is none of {known}")));
        }
        Ok(Settings {
            format,
            own,
            plan: PlanOptions {
                dtypes,
                value_type,
                compression,
                fragment_rows,
                ..PlanOptions::default()
            },
            chunk_cells,
            memory,
            threads,
            progress: required(layer.progress, "progress")?,
            scratch,
        })
    }
}

/// The bytes of a memory that suffices.
pub(super) fn enough_memory(memory: ByteSize) -> Result<u64, Error> {
    if memory.as_u64() < LEAST_MEMORY {
        return Err(Error::Usage(format!(
            "a memory of {memory} is too little; {} is the least",
            ByteSize::b(LEAST_MEMORY)
        )));
    }
    Ok(memory.as_u64())
}

/// The number of threads, where 0 means one for each processor.
pub(super) fn threads_or_all(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads.min(1024),
    }
}

/// What was given for options of formats.
fn given_by_name(arguments: &FormatArguments) -> BTreeMap<String, OptionValue> {
    let given = arguments.0.iter();
    given
        .map(|(spec, value)| (spec.name.to_string(), value.clone()))
        .collect()
}

fn required<T>(setting: Option<T>, name: &str) -> Result<T, Error> {
    setting.ok_or_else(|| Error::Usage(format!("the setting {name} is missing")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(over: &str) -> Result<Settings, Error> {
        let defaults = Layer::parse(DEFAULTS, "defaults")?;
        Settings::check(Layer::parse(over, "test")?.over(defaults))
    }

    #[test]
    fn the_defaults_are_complete() {
        let settings = settings("").unwrap();
        assert_eq!(settings.plan.dtypes, Dtypes::Narrow);
        assert_eq!(settings.plan.fragment_rows, 100_000_000);
        assert_eq!(settings.memory, 512 << 20);
        assert_eq!(settings.chunk_cells, u64::MAX);
        assert!(settings.threads > 0);
    }

    #[test]
    fn a_file_overrides_the_defaults() {
        let settings = settings("dtypes = \"signed\"\nmemory = \"1 GiB\"\nthreads = 3").unwrap();
        assert_eq!(settings.plan.dtypes, Dtypes::Signed);
        assert_eq!(settings.plan.compression, Compression::Zstd);
        assert_eq!((settings.memory, settings.threads), (1 << 30, 3));
    }

    #[test]
    fn options_of_formats_are_settings() {
        let text = "measurement = \"ADT\"\ngene-id = \"ensembl\"\ngenome = [\"hg\"]";
        let own = settings(text).unwrap().own;
        for spec in Formats::default().options() {
            let given = ["measurement", "gene-id", "genome"].contains(&spec.name);
            assert_eq!(own.has(spec), given, "{}", spec.name);
            let is_setting = spec.scope == OptionScope::Settings;
            assert_eq!(
                DEFAULTS.contains(&format!("{} = ", spec.name)),
                is_setting,
                "{}",
                spec.name
            );
        }
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| settings(text).unwrap_err().to_string();
        assert!(message("memry = 1").contains("memry"));
        assert!(
            message("barcodes = \"x\"").contains("barcodes"),
            "it belongs to one input"
        );
        assert!(message("gene-id = \"name\"").contains("symbol, ensembl"));
        assert!(message("format = \"loom\"").contains("10x-h5"));
        assert!(message("memory = \"1 MiB\"").contains("too little"));
        assert!(message("fragment-rows = 0").contains("fragment-rows"));
        assert!(message("scratch-dir = \"/nowhere/at/all\"").contains("scratch-dir"));
    }
}
