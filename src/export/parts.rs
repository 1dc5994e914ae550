//! Exports that are divided into files.

use std::path::PathBuf;

use xxhash_rust::xxh3::xxh3_128;

use super::cells::SomeCells;
use super::destination::Destination;
use super::manifest::{Entry, Journal};
use super::split::Part;
use super::{Begin, Done, Export, ExportFormat, Opened, Output};
use crate::ingest::OverwritePolicy;
use crate::progress::Progress;
use crate::sink::{self, Genes, H5adSink, Outline, Scope, SinkError};
use crate::source::CellSource;
use crate::store::{StoreError, create_folder};

impl Export {
    /// Writes file after file, of those that are this worker's and not there yet.
    pub(super) fn write_parts(
        &self,
        opened: &Opened,
        destination: &Destination,
        format: ExportFormat,
        progress: &dyn Progress,
    ) -> Result<Done, SinkError> {
        if self.overwrite == OverwritePolicy::Replace {
            return Err(SinkError::Usage(
                "--overwrite: an export in parts is never replaced; remove the folder, or name another".into(),
            ));
        }
        let parts = self.split.parts(&*opened.source)?;
        create_folder(destination.place())?;
        let shard = self.split.shard;
        let mut journal = Journal::open(destination.place(), shard, &self.key(opened, format))?;
        let mine = parts.iter().filter(|part| {
            let worker = part.number % shard.of as usize;
            worker + 1 == shard.number as usize
        });
        let mut done = Done::default();
        let mut shared: Option<Shared> = None;
        for part in mine {
            let name = match format.ending() {
                "" => format!("part-{:05}", part.number),
                ending => format!("part-{:05}.{ending}", part.number),
            };
            done.files += 1;
            if journal.has(&name) {
                done.earlier += 1;
                continue;
            }
            let shared = match &mut shared {
                Some(shared) => shared,
                none => none.insert(self.shared(opened, format, progress, &mut done)?),
            };
            let entry = self.part(opened, shared, destination, format, part, &name, progress)?;
            done.bytes += entry.1;
            journal.add(entry.0)?;
            crate::failpoint::reach("export-part-noted");
        }
        if let Some(notes) = shared.and_then(|shared| shared.notes) {
            done.notes.extend(notes);
        }
        for entry in &journal.entries {
            done.cells += entry.cells;
            done.nonzeros += entry.rows;
            done.digest.add(entry.digest);
        }
        journal.finish()?;
        Ok(done)
    }

    /// Stands for what is exported, and how.
    fn key(&self, opened: &Opened, format: ExportFormat) -> String {
        let how = format!(
            "{} {format} {:?} {:?} {} {:?} {:?} {:?}",
            opened.key,
            self.layout,
            self.shape,
            self.filters,
            self.metadata,
            self.split.cells_per_file,
            self.split.by
        );
        format!("{:032x}", xxh3_128(how.as_bytes()))
    }

    /// What all files have in common is read, and encoded, once.
    fn shared(
        &self,
        opened: &Opened,
        format: ExportFormat,
        progress: &dyn Progress,
        done: &mut Done,
    ) -> Result<Shared, SinkError> {
        let outline = opened.outline(self.layout);
        let genes = Genes::read(&*opened.source, &outline)?;
        let scratch = &self.resources.scratch;
        let mut shared = Shared {
            genes,
            encoded: None,
            notes: None,
        };
        if format == ExportFormat::H5ad {
            let file = tempfile::Builder::new()
                .prefix("slaf-genes-")
                .tempfile_in(scratch);
            let path = file
                .map_err(|source| StoreError::from_io("write in", scratch, source))?
                .into_temp_path();
            let mut sink = H5adSink::new(&path, &path, self.filters).of_genes();
            let scope = Scope::OfGenes(&shared.genes);
            let source = &*opened.source;
            let written = sink::write(
                source,
                &mut sink,
                &outline,
                scope,
                &self.resources,
                progress,
            )?;
            done.notes.extend(written.notes);
            shared.encoded = Some(path);
        }
        Ok(shared)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a part is made from, and where it goes"
    )]
    fn part(
        &self,
        opened: &Opened,
        shared: &mut Shared,
        destination: &Destination,
        format: ExportFormat,
        part: &Part,
        name: &str,
        progress: &dyn Progress,
    ) -> Result<(Entry, u64), SinkError> {
        let source = SomeCells::of(opened.source.clone(), part.cells.clone());
        let outline = Outline {
            description: source.description().clone(),
            layout: self.layout,
        };
        let genes = &shared.genes;
        let encoded: Option<PathBuf> = shared.encoded.as_deref().map(PathBuf::from);
        let output = Output {
            source: &source,
            outline: &outline,
            destination: &destination.within(name),
            format,
            begin: match &encoded {
                None => Begin::Empty(Scope::WithGenes(genes)),
                Some(of) => Begin::Copy { of, genes },
            },
        };
        let written = self.write_one(&output, progress)?;
        if shared.notes.is_none() {
            shared.notes = Some(written.notes);
        }
        let entry = Entry {
            file: name.to_string(),
            cells: written.cells,
            rows: written.nonzeros,
            digest: written.digest,
            value: part.value.clone().unwrap_or_default(),
        };
        Ok((entry, written.bytes))
    }
}

/// What all files have in common.
struct Shared {
    genes: Genes,
    /// A file with all that belongs to genes, of which others are copies.
    encoded: Option<tempfile::TempPath>,
    /// What the first of the files does not hold; nor do the others.
    notes: Option<Vec<crate::source::Note>>,
}
