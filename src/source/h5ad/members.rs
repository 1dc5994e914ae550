//! Members of frames and of groups of matrices. Names may contain slashes, which HDF5 treats as
//! paths: `obs/CD4+/CD8-` is the column `CD4+/CD8-`.

use std::collections::HashSet;

use super::column::CATEGORIES;
use super::matrix::encoding;
use crate::source::SourceError;
use crate::source::error::ErrorContext;
use crate::source::hdf5::{Attribute, Hdf5File, Kind};

/// Maximum number of slashes in a name.
const DEEPEST: usize = 16;

/// Members of a frame: its index and its columns, in order.
pub(super) struct Members {
    /// Name of the index.
    pub index: String,
    /// The columns that the writer lists, whether or not they exist; all members if it lists none.
    pub columns: Vec<String>,
    /// Other members, which anndata ignores.
    pub unlisted: Vec<String>,
    /// Whether the frame is a compound dataset.
    pub compound: bool,
}

impl Members {
    /// Determines the members of the frame `object`.
    pub fn of(file: &Hdf5File, object: &str) -> Result<Self, SourceError> {
        let place = file.place(object);
        let mut members = match file.kind(object)? {
            Kind::Group => file.members(object)?,
            Kind::Compound => {
                let mut fields = file.members(object)?;
                if fields.is_empty() {
                    return Err(place.damaged("it has no fields"));
                }
                // anndata takes the first field as the index, whatever its name.
                let index = fields.remove(0);
                return Ok(Members {
                    index,
                    columns: fields,
                    unlisted: Vec::new(),
                    compound: true,
                });
            }
            Kind::Missing => return Err(place.damaged("it is missing")),
            _ => return Err(place.damaged("it is not a group")),
        };
        members.sort();
        let index = index_name(file, object, &members, &place)?;
        let listed = column_order(file, object, &place)?;
        members.retain(|name| name != CATEGORIES);
        let (columns, unlisted) = match listed {
            Some(columns) => {
                let unlisted = unlisted(file, object, members, &columns, &index)?;
                (columns, unlisted)
            }
            None => {
                members.retain(|name| *name != index);
                (members, Vec::new())
            }
        };
        Ok(Members {
            index,
            columns,
            unlisted,
            compound: false,
        })
    }
}

/// Returns the columns in the writer's order, if it is stored. If the index is listed, there is
/// also a column of the same name.
fn column_order(
    file: &Hdf5File,
    object: &str,
    place: &ErrorContext,
) -> Result<Option<Vec<String>>, SourceError> {
    let mut names = match file.attribute(object, "column-order")? {
        Some(Attribute::Texts(names)) => names,
        Some(Attribute::Text(name)) => vec![name],
        // An empty list has whatever type numpy gave it.
        Some(Attribute::Number(numbers)) if numbers.is_empty() => Vec::new(),
        Some(_) => return Err(place.damaged("its attribute \"column-order\" is not text")),
        None => return Ok(None),
    };
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(Some(names))
}

/// Returns the members, and members of members, that neither are columns nor contain any.
fn unlisted(
    file: &Hdf5File,
    object: &str,
    members: Vec<String>,
    listed: &[String],
    index: &str,
) -> Result<Vec<String>, SourceError> {
    let mut listed: Vec<&str> = listed.iter().map(String::as_str).chain([index]).collect();
    listed.sort_unstable();
    let mut unlisted = Vec::new();
    let mut names = members;
    names.reverse();
    while let Some(name) = names.pop() {
        if listed.binary_search(&name.as_str()).is_ok() {
            continue;
        }
        let path = format!("{name}/");
        let next = listed.partition_point(|other| *other < path.as_str());
        let holds_some = listed
            .get(next)
            .is_some_and(|other| other.starts_with(&path));
        if holds_some && file.kind(&format!("{object}/{name}"))? == Kind::Group {
            let mut inner = file.members(&format!("{object}/{name}"))?;
            inner.sort();
            names.extend(inner.into_iter().rev().map(|inner| path.clone() + &inner));
        } else {
            unlisted.push(name);
        }
    }
    Ok(unlisted)
}

/// Returns the name of the member that is the index.
fn index_name(
    file: &Hdf5File,
    object: &str,
    members: &[String],
    place: &ErrorContext,
) -> Result<String, SourceError> {
    let is_there = |name: &str| -> Result<bool, SourceError> {
        Ok(members.iter().any(|member| member == name)
            || (name.contains('/') && file.kind(&format!("{object}/{name}"))? != Kind::Missing))
    };
    let named = match file.attribute(object, "_index")? {
        Some(attribute) => attribute.text().map(str::to_string),
        None => ["_index", "index"]
            .iter()
            .find(|name| members.iter().any(|member| member == *name))
            .map(ToString::to_string),
    };
    match named {
        Some(name) if is_there(&name)? => Ok(name),
        Some(name) => Err(place.damaged(format!("its index {name:?} is missing"))),
        None => Err(place.damaged("it has no index: the attribute \"_index\" is missing")),
    }
}

/// Returns the names of the matrices in a group. A nested group that declares no encoding is part
/// of their names.
pub(super) fn matrices(file: &Hdf5File, group: &str) -> Result<Vec<String>, SourceError> {
    let mut names = file.members(group)?;
    if file.kind(group)? != Kind::Group {
        return Ok(names);
    }
    let mut found = Vec::new();
    while let Some(name) = names.pop() {
        match inner(file, &format!("{group}/{name}")) {
            Some(inner) if name.matches('/').count() < DEEPEST => {
                names.extend(inner.into_iter().map(|inner| format!("{name}/{inner}")));
            }
            _ => found.push(name),
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the members of a group that only exists because of a slash in their names. A group that
/// cannot be examined is not treated as one; opening it reports the problem.
fn inner(file: &Hdf5File, object: &str) -> Option<Vec<String>> {
    if file.kind(object).ok()? != Kind::Group || encoding(file, object).ok()?.is_some() {
        return None;
    }
    let members = file.members(object).ok()?;
    // A group with `indptr` is a sparse matrix that lacks its encoding.
    let is_matrix = members.iter().any(|name| name == "indptr");
    (!is_matrix && !members.is_empty()).then_some(members)
}
