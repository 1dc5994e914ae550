//! The members of frames and of groups of matrices. Names may hold slashes, which HDF5 takes for paths:
//! `obs/CD4+/CD8-` is the column `CD4+/CD8-`.

use std::collections::HashSet;

use super::column::CATEGORIES;
use super::matrix::encoding;
use crate::source::SourceError;
use crate::source::error::Place;
use crate::source::hdf5::{Attribute, Hdf5File, Kind};

/// Slashes in a name, at most.
const DEEPEST: usize = 16;

/// The members of a frame: which is the index, and which are columns, in their order.
pub(super) struct Members {
    pub index: String,
    /// The columns that the writer lists, whether or not they are there; all, if it lists none.
    pub columns: Vec<String>,
    /// Other members, which anndata does not see.
    pub unlisted: Vec<String>,
    pub compound: bool,
}

impl Members {
    /// Looks at the frame `object`.
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

/// The columns in the order of the writer, if it tells. An index that is listed is a column as well,
/// of the same name.
fn column_order(
    file: &Hdf5File,
    object: &str,
    place: &Place,
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

/// The members, and members of members, that are no column and hold none.
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

/// The name of the member that is the index.
fn index_name(
    file: &Hdf5File,
    object: &str,
    members: &[String],
    place: &Place,
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
            .map(|name| name.to_string()),
    };
    match named {
        Some(name) if is_there(&name)? => Ok(name),
        Some(name) => Err(place.damaged(format!("its index {name:?} is missing"))),
        None => Err(place.damaged("it has no index: the attribute \"_index\" is missing")),
    }
}

/// The matrices of a group, by name: a group in it that says nothing of itself is a part of their
/// names.
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

/// The members of a group that is only there for the names of others. What cannot be looked at is no
/// such group: whoever opens it is told why.
fn inner(file: &Hdf5File, object: &str) -> Option<Vec<String>> {
    if file.kind(object).ok()? != Kind::Group || encoding(file, object).ok()?.is_some() {
        return None;
    }
    let members = file.members(object).ok()?;
    // A sparse matrix without a word on its kind is none.
    let is_matrix = members.iter().any(|name| name == "indptr");
    (!is_matrix && !members.is_empty()).then_some(members)
}
