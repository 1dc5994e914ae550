//! What an h5ad file holds beside X, obs and var.

use crate::source::hdf5::{Container, Kind};
use crate::source::{LeftOut, SourceError};

/// The parts of an AnnData that are not converted yet: one entry an object.
const PARTS: [&str; 6] = ["layers", "obsm", "varm", "obsp", "varp", "uns"];

/// Lists what a conversion leaves out, object by object.
pub(super) fn left_out(container: &dyn Container) -> Result<Vec<LeftOut>, SourceError> {
    let mut left_out = Vec::new();
    let mut push = |object: String, reason: &str| {
        left_out.push(LeftOut {
            object,
            reason: reason.into(),
        });
    };
    let mut members = container.members("")?;
    members.sort();
    for member in members {
        match member.as_str() {
            "X" | "obs" | "var" => {}
            part if PARTS.contains(&part) && container.kind(part)? == Kind::Group => {
                let mut objects = container.members(part)?;
                objects.sort();
                for object in objects {
                    push(format!("{part}/{object}"), "not converted yet");
                }
            }
            "raw" | "raw.X" | "raw.var" => push(member, "not converted yet"),
            part if PARTS.contains(&part) => push(member, "not converted yet"),
            _ => push(member, "not a part of an AnnData"),
        }
    }
    Ok(left_out)
}
