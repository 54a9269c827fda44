//! Writes the files of a scored scan.

use super::delivery::Delivery;
use super::error::Error;
use super::objects::Objects;
use super::output::{DeliveredFile, FileContent, OutputKind};
use super::{document, labels, overlay};
use crate::nightly::identity::Identity;
use crate::nightly::scan::scored::ScoredScan;
use nodulus_formats::volume::LoadedSlices;
use nodulus_store::{durable, hash};
use std::collections::BTreeSet;
use std::path::Path;

/// Writes the requested files of a scan into a folder, which is created if needed. Each file is written
/// beside its path, synced and renamed. `hu` holds slices of the scan, of which the overlay needs
/// [`super::slices_needed`].
///
/// Names are the UID of the series, or one made from its name, and a fixed suffix; they hold nothing of the
/// patient. An existing file is replaced. The same scan gives the same bytes.
///
/// # Errors
///
/// Fails if a DICOM file of the scan cannot be read again, `scored_at` is not a time, a mask reaches beyond
/// the scan, or a file cannot be written.
pub fn deliver(
    scan: &ScoredScan,
    hu: &LoadedSlices<i16>,
    requested: &BTreeSet<OutputKind>,
    identity: &Identity,
    folder: &Path,
) -> Result<Vec<DeliveredFile>, Error> {
    let delivery = Delivery::new(scan, identity);
    delivery.check()?;
    let is_dicom = |output: &OutputKind| matches!(output, OutputKind::Seg | OutputKind::Rtstruct);
    let objects = requested.iter().any(is_dicom).then(|| Objects::new(&delivery)).transpose()?;
    let mut delivered = Vec::new();
    // In their order: the document is last, as it lists the others.
    for output in requested {
        let content = match (output, &objects) {
            (OutputKind::Seg, Some(objects)) => objects.segmentation()?,
            (OutputKind::Rtstruct, Some(objects)) => objects.structure_set()?,
            (OutputKind::Seg | OutputKind::Rtstruct, None) => continue,
            (OutputKind::Nifti, _) => FileContent::Bytes(labels::bytes(scan)?),
            (OutputKind::Png, _) => overlay::content(&delivery, hu)?,
            (OutputKind::Json, _) => FileContent::Bytes(document::bytes(&delivery, &delivered)?),
        };
        delivered.push(write(&delivery, *output, content, folder)?);
    }
    Ok(delivered)
}

fn write(
    delivery: &Delivery<'_>,
    output: OutputKind,
    content: FileContent,
    folder: &Path,
) -> Result<DeliveredFile, Error> {
    Ok(match content {
        FileContent::Empty(reason) => DeliveredFile::Empty { output, reason },
        FileContent::Unavailable(reason) => DeliveredFile::Unavailable { output, reason },
        FileContent::Bytes(bytes) => {
            let path = folder.join(format!("{}_{}", delivery.series_uid(), output.suffix()));
            durable::write(&path, &bytes)?;
            let (n_bytes, sha256) = (bytes.len() as u64, hash::sha256(&bytes));
            DeliveredFile::Written { output, path, n_bytes, sha256 }
        }
    })
}
