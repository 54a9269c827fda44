//! A DICOM object as it is sent.

use dicom_object::FileMetaTable;
use fs_err as fs;
use nodulus_store::hash;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

/// Bytes before the meta information: the preamble (PS3.10, 7.1).
const PREAMBLE: usize = 128;

/// Where the length of the meta information stands, which counts from its end: after the prefix `DICM`, a tag, a VR and a length.
const META_LENGTH: Range<usize> = PREAMBLE + 12..PREAMBLE + 16;

/// A DICOM object that was read from its file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StoredObject {
    pub(super) sop_class_uid: String,
    pub(super) sop_instance_uid: String,
    pub(super) transfer_syntax: String,
    /// The whole file.
    pub(super) bytes: Vec<u8>,
    /// Where the data set begins in it.
    pub(super) data_start: usize,
}

impl StoredObject {
    /// Reads a file; the cause of a failure has neither its path nor its content.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let mut bytes = Vec::new();
        let mut file = fs::File::open(path).map_err(|error| io_cause(error.kind()))?;
        file.read_to_end(&mut bytes).map_err(|error| io_cause(error.kind()))?;
        let damaged = || {
            "its file is no DICOM object any more; write it again with another `score.output`"
                .to_owned()
        };
        let meta = bytes.get(PREAMBLE..).and_then(|rest| FileMetaTable::from_reader(rest).ok());
        let meta = meta.ok_or_else(damaged)?;
        let length = bytes.get(META_LENGTH).and_then(|length| length.try_into().ok());
        let length = u32::from_le_bytes(length.ok_or_else(damaged)?) as usize;
        let data_start = META_LENGTH.end + length;
        if data_start >= bytes.len() {
            return Err(damaged());
        }
        Ok(Self {
            sop_class_uid: meta.media_storage_sop_class_uid().to_owned(),
            sop_instance_uid: meta.media_storage_sop_instance_uid().to_owned(),
            transfer_syntax: meta.transfer_syntax().to_owned(),
            bytes,
            data_start,
        })
    }

    /// SHA-256 of the file.
    pub(super) fn sha256(&self) -> String {
        hash::sha256(&self.bytes)
    }
}

fn io_cause(kind: std::io::ErrorKind) -> String {
    format!("its file cannot be read ({kind}); put it back, or exclude its day by `since`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_told_without_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.dcm");
        let missing = StoredObject::read(&path).unwrap_err();
        assert!(missing.starts_with("its file cannot be read (entity not found)"), "{missing}");
        for bytes in [&b""[..], &[0; 128], &[0; 4000], &[&[0; 128][..], b"DICM"].concat()] {
            fs::write(&path, bytes).unwrap();
            let damaged = StoredObject::read(&path).unwrap_err();
            assert!(damaged.starts_with("its file is no DICOM object any more"), "{damaged}");
            assert!(!damaged.contains("a.dcm"));
        }
    }
}
