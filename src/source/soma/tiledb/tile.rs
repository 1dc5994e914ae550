//! Generic tiles: tiles with a header that describes their filters (format_spec/generic_tile.md).

use super::check_version;
use super::cursor::Cursor;
use super::datatype::Datatype;
use super::fault::{Checked, Fault};
use super::files::Folder;
use super::filter::{Pipeline, Scratch};
use crate::source::SourceError;

/// The fixed-length part of the header.
struct Header {
    persisted: usize,
    size: usize,
    datatype: Datatype,
    pipeline: usize,
}

impl Header {
    const SIZE: u64 = 34;

    fn parse(cursor: &mut Cursor<'_>, memory: u64) -> Checked<Self> {
        check_version(cursor.u32()?)?;
        let persisted = cursor.length64()?;
        let size = cursor.length64()?;
        let datatype = Datatype::from_code(cursor.u8()?)?;
        let _cell_size = cursor.u64()?;
        match cursor.u8()? {
            0 => {}
            1 => return Err(Fault::unsupported("an encrypted array")),
            other => return Err(Fault::unsupported(format!("the encryption {other}"))),
        }
        if size as u64 > memory {
            return Err(Fault::TooLarge(size as u64));
        }
        Ok(Header {
            persisted,
            size,
            datatype,
            pipeline: cursor.length32()?,
        })
    }

    fn decode(&self, body: &[u8]) -> Checked<Vec<u8>> {
        let mut cursor = Cursor::new(body);
        let mut options = Cursor::new(cursor.take(self.pipeline)?);
        let pipeline = Pipeline::parse(&mut options)?;
        options.finish("a filter pipeline")?;
        pipeline.check(self.datatype)?;
        let tile = cursor.take(self.persisted)?;
        let mut out = Vec::new();
        pipeline.decode(
            tile,
            self.datatype,
            self.size,
            &mut out,
            &mut Scratch::new()?,
        )?;
        Ok(out)
    }
}

/// Decodes the generic tile at the beginning of `bytes`. Returns its content and its length
/// including the header.
pub(super) fn generic_tile(bytes: &[u8], memory: u64) -> Checked<(Vec<u8>, usize)> {
    let mut cursor = Cursor::new(bytes);
    let header = Header::parse(&mut cursor, memory)?;
    let content = header.decode(cursor.rest())?;
    // Both have been read, so this cannot overflow.
    Ok((
        content,
        cursor.position() + header.pipeline + header.persisted,
    ))
}

/// Decodes a file that consists of a single generic tile.
pub(super) fn whole_file(folder: &Folder, name: &str) -> Result<Vec<u8>, SourceError> {
    let bytes = folder.read_all(name)?;
    let place = folder.place_of(name);
    let (content, length) =
        generic_tile(&bytes, folder.memory()).map_err(|fault| fault.at(&place))?;
    if length != bytes.len() {
        return Err(place.damaged(format!("{} bytes follow its tile", bytes.len() - length)));
    }
    Ok(content)
}

/// Decodes the generic tile at a position in a file of `size` bytes.
pub(super) fn within_file(
    folder: &Folder,
    name: &str,
    at: u64,
    size: u64,
) -> Result<Vec<u8>, SourceError> {
    let place = folder.place_of(name);
    let beyond = || {
        place.damaged(format!(
            "there is no tile at {at}: the file has {size} bytes"
        ))
    };
    let body_at = at
        .checked_add(Header::SIZE)
        .filter(|&end| end <= size)
        .ok_or_else(beyond)?;
    let mut bytes = Vec::new();
    folder.read(name, at, Header::SIZE, &mut bytes)?;
    let header = Header::parse(&mut Cursor::new(&bytes), folder.memory())
        .map_err(|fault| fault.at(&place))?;
    let length = (header.persisted as u64).checked_add(header.pipeline as u64);
    let length = length
        .filter(|&length| length <= size - body_at)
        .ok_or_else(beyond)?;
    folder.read(name, body_at, length, &mut bytes)?;
    header.decode(&bytes).map_err(|fault| fault.at(&place))
}
