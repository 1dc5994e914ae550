//! Arrays: a schema, fragments written with it or with older schemas, and deletes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::commits::Commits;
use super::deletes::{Delete, Lives};
use super::enumeration::Enumeration;
use super::fault::Fault;
use super::files::Folder;
use super::fragment::Fragment;
use super::metadata::{self, Metadata, unknown_file};
use super::names::{StampedName, is_foreign};
use super::schema::Schema;
use super::tile::whole_file;
use crate::source::SourceError;
use crate::source::error::ErrorContext;

/// The folder that marks another folder as an array.
pub(in crate::source::soma) const MARK: &str = "__schema";

/// An open array.
pub(in crate::source::soma) struct Array {
    /// Folder of the array.
    pub folder: Folder,
    /// The newest schema.
    pub schema: Arc<Schema>,
    /// Metadata of the array.
    pub metadata: Metadata,
    /// The fragments, oldest first.
    pub fragments: Vec<Fragment>,
    deletes: Vec<Arc<Delete>>,
}

impl Array {
    /// Opens the array in a folder.
    pub fn open(folder: &Folder) -> Result<Self, SourceError> {
        check_layout(folder)?;
        let schemas = folder.child(MARK);
        let mut names = Vec::new();
        for name in schemas.list()? {
            match StampedName::parse(&name) {
                Some(stamped) => names.push(stamped),
                None if is_foreign(&name) || name == "__enumerations" => {}
                None => return Err(unknown_file(&schemas, &name)),
            }
        }
        let Some(newest) = names.into_iter().max() else {
            return Err(folder.place().damaged("it has no schema"));
        };
        let mut known: BTreeMap<String, Arc<Schema>> = BTreeMap::new();
        let mut schema = |name: &str| {
            if let Some(schema) = known.get(name) {
                return Ok(schema.clone());
            }
            let content = whole_file(&schemas, name)?;
            let schema =
                Schema::parse(&content).map_err(|fault| fault.at(&schemas.place_of(name)))?;
            let schema = Arc::new(schema);
            known.insert(name.to_string(), schema.clone());
            Ok(schema)
        };
        let newest = schema(&newest.name)?;
        let commits = Commits::read(folder)?;
        let fragments_folder = folder.child("__fragments");
        let fragments = commits
            .fragments
            .into_iter()
            .map(|stamp| Fragment::open(&fragments_folder, stamp, &mut schema))
            .collect::<Result<Vec<_>, _>>()?;
        let place = folder.child("__commits").place();
        let deletes = commits
            .deletes
            .into_iter()
            .map(|(name, bytes)| Delete::parse(name, &bytes, folder.memory()).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|fault| fault.at(&place))?;
        check_order(&fragments, &folder.place())?;
        Ok(Array {
            folder: folder.clone(),
            schema: newest,
            metadata: metadata::read(folder)?,
            fragments,
            deletes,
        })
    }

    /// Returns the context for errors about the array.
    pub fn place(&self) -> ErrorContext {
        self.folder.place()
    }

    /// Opens what determines which cells of a fragment are deleted.
    pub fn lives(&self, fragment: &Fragment) -> Result<Lives, SourceError> {
        Lives::open(fragment, &self.deletes)
    }

    /// Number of cells in all fragments, including deleted ones.
    pub fn all_cells(&self) -> u64 {
        let cells = self.fragments.iter().map(Fragment::all_cells);
        cells.fold(0, u64::saturating_add)
    }

    /// Reads the categories of a column.
    pub fn enumeration(&self, name: &str) -> Result<Enumeration, SourceError> {
        let folder = self.folder.child(MARK).child("__enumerations");
        let mut files = self.schema.enumerations.iter();
        let Some((_, file)) = files.find(|(known, _)| known == name) else {
            return Err(self
                .place()
                .damaged(format!("its enumeration {name:?} is missing")));
        };
        let content = whole_file(&folder, file)?;
        Enumeration::parse(&content).map_err(|fault| fault.at(&folder.place_of(file)))
    }
}

/// Refuses the layout used before format version 12, where fragments were stored directly in the
/// array's folder.
fn check_layout(folder: &Folder) -> Result<(), SourceError> {
    for name in folder.list()? {
        let stem = name.strip_suffix(".ok").unwrap_or(&name);
        if name == "__array_schema.tdb" || StampedName::parse(stem).is_some() {
            return Err(
                Fault::unsupported("an array of a format before version 12").at(&folder.place())
            );
        }
    }
    Ok(())
}

/// Refuses writes whose order is undetermined: a fragment that combines several writes without
/// timestamps, and another one with a time in between.
fn check_order(fragments: &[Fragment], place: &ErrorContext) -> Result<(), SourceError> {
    for (number, fragment) in fragments.iter().enumerate() {
        let stamp = &fragment.stamp;
        if fragment.has_times || stamp.first == stamp.last {
            continue;
        }
        let meets =
            |other: &Fragment| other.stamp.first <= stamp.last && stamp.first <= other.stamp.last;
        let mut others = fragments
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number);
        if others.any(|(_, other)| meets(other)) {
            return Err(Fault::unsupported(format!(
                "writes at the time of {}, which was consolidated without times,",
                stamp.name
            ))
            .at(place));
        }
    }
    Ok(())
}
