//! Selects the measurement of an experiment to read, and which of its layers is X.

use super::object;
use super::tiledb::files::Folder;
use super::tiledb::group::Group;
use crate::remedy::{Remedy, Setting};
use crate::source::{OpenOptions, SourceError};

/// Name that tiledbsoma gives a measurement by default.
const USUAL: &str = "RNA";

/// The measurement with the raw matrix of an AnnData.
pub(super) const RAW: &str = "raw";

/// The layer that becomes X by default.
const X: &str = "data";

/// An opened measurement.
pub(super) struct Measurement {
    /// The group of the measurement.
    pub group: Group,
    /// The group of its layers, if it has one.
    pub layers: Option<Group>,
}

impl Measurement {
    /// Opens the measurement in a folder.
    pub fn open(folder: &Folder) -> Result<Self, SourceError> {
        let group = object::group(folder)?;
        let layers = group.member("X").map(object::group).transpose()?;
        Ok(Measurement { group, layers })
    }

    /// Returns the folder of the var data frame.
    pub fn var(&self) -> Result<&Folder, SourceError> {
        self.group.member("var").ok_or_else(|| {
            self.group
                .folder
                .place()
                .damaged("it has no data frame \"var\"")
        })
    }

    /// Iterates over the layers by name.
    pub fn layers(&self) -> impl Iterator<Item = (&String, &Folder)> {
        self.layers.iter().flat_map(|group| &group.members)
    }

    /// The advice to choose one of the layers.
    fn choose_layer(&self) -> Remedy {
        Remedy::Choose {
            option: "matrix",
            from: self.layers().map(|(name, _)| name.clone()).collect(),
        }
    }

    /// Returns the layer that becomes X: `data`, or the only one; `None` if there are no layers.
    pub fn own_layer(&self) -> Result<Option<(&String, &Folder)>, SourceError> {
        let mut layers = self.layers();
        if let Some(data) = self.layers().find(|(name, _)| *name == X) {
            return Ok(Some(data));
        }
        match (layers.next(), layers.next()) {
            (only, None) => Ok(only),
            _ => Err(self.group.folder.place().unsupported(
                format!("a measurement without the layer {X:?}, but with several others,"),
                self.choose_layer(),
            )),
        }
    }

    /// Returns the layer that the user chose.
    pub fn chosen_layer(&self, wanted: &str) -> Result<(&String, &Folder), SourceError> {
        self.layers()
            .find(|(name, _)| *name == wanted)
            .ok_or_else(|| {
                let help = match self.layers().next() {
                    None => Remedy::omit("matrix"),
                    Some(_) => self.choose_layer(),
                };
                let setting = Setting::of("matrix", wanted);
                let place = self.group.folder.place();
                place.refuses(setting, "there is no such layer", help)
            })
    }
}

/// Returns the name of the measurement to read: the one the user chose, or `RNA`, or the only one.
pub(super) fn choose(measurements: &Group, options: &OpenOptions) -> Result<String, SourceError> {
    let place = measurements.folder.place();
    let choose = || Remedy::Choose {
        option: super::MEASUREMENT.name,
        from: measurements.members.keys().cloned().collect(),
    };
    if let Some(chosen) = options.own.text(&super::MEASUREMENT) {
        return match measurements.member(chosen) {
            Some(_) => Ok(chosen.to_string()),
            None => {
                let setting = Setting::of(super::MEASUREMENT.name, chosen);
                Err(place.refuses(setting, "there is no such measurement", choose()))
            }
        };
    }
    if measurements.member(USUAL).is_some() {
        return Ok(USUAL.into());
    }
    let mut others = measurements.members.keys().filter(|name| *name != RAW);
    match (others.next(), others.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) if measurements.member(RAW).is_some() => Ok(RAW.into()),
        (None, _) => Err(place.damaged("it has no measurement")),
        _ => Err(place.unsupported(
            format!("an experiment without the measurement {USUAL:?}, but with several others,"),
            choose(),
        )),
    }
}
