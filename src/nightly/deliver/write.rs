//! Writes the files of a scored scan.

use super::delivery::Delivery;
use super::earlier::EarlierObjects;
use super::error::Error;
use super::objects::objects;
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
/// patient. An existing file is replaced. The same scan gives the same bytes. DICOM objects refer to the `earlier` ones
/// of the series that they replace.
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
    earlier: &EarlierObjects,
    folder: &Path,
) -> Result<Vec<DeliveredFile>, Error> {
    let delivery = Delivery::new(scan, identity);
    delivery.check()?;
    let objects = if requested.iter().any(|output| output.is_dicom()) {
        Some(objects(&delivery, requested, earlier)?)
    } else {
        None
    };
    let mut delivered = Vec::new();
    // In their order: the document is last, as it lists the others.
    for output in requested {
        let content = match (output, &objects) {
            (OutputKind::Nifti, _) => FileContent::Bytes(labels::bytes(scan)?),
            (OutputKind::Png, _) => overlay::content(&delivery, hu)?,
            (OutputKind::Json, _) => FileContent::Bytes(document::bytes(&delivery, &delivered)?),
            (OutputKind::Seg, Some(Ok(objects))) => objects.segmentation(),
            (OutputKind::Rtstruct, Some(Ok(objects))) => objects.structure_set()?,
            (OutputKind::Sr, Some(Ok(objects))) => objects.report()?,
            (OutputKind::Sc, Some(Ok(objects))) => objects.picture(hu)?,
            (OutputKind::Rejection, Some(Ok(objects))) => objects.rejection_note()?,
            (_, Some(Err(reason))) => FileContent::Unavailable((*reason).to_owned()),
            (_, None) => continue,
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
    let (object, bytes) = match content {
        FileContent::Empty(reason) => return Ok(DeliveredFile::Empty { output, reason }),
        FileContent::Unavailable(reason) => {
            return Ok(DeliveredFile::Unavailable { output, reason });
        }
        FileContent::Bytes(bytes) => (None, bytes),
        FileContent::Object(reference, bytes) => (Some(reference), bytes),
    };
    let path = folder.join(format!("{}_{}", delivery.series_uid(), output.suffix()));
    durable::write(&path, &bytes)?;
    let (n_bytes, sha256) = (bytes.len() as u64, hash::sha256(&bytes));
    Ok(DeliveredFile::Written { output, path, n_bytes, sha256, object })
}
