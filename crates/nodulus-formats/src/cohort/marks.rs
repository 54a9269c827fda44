//! Cases whose readers' XML lies in a folder of its own: LUNA16, and LIDC-IDRI's XML without images.

use super::case::Case;
use super::error::Error;
use super::list::SeriesIn;
use crate::folder::{files_below, has_extension, relative};
use crate::image_file;
use crate::scan_geometry::ScanGeometries;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files of CT reads by series, and the XML files that are not CT reads; each sorted by path.
type Reads = (BTreeMap<String, Vec<PathBuf>>, Vec<PathBuf>);

fn reads_below(folder: &Path, series_in: &SeriesIn<'_>) -> Result<Reads, Error> {
    let files: Vec<_> =
        files_below(folder)?.into_iter().filter(|file| has_extension(file, "xml")).collect();
    // Reading the file for its rows reports why it is not one.
    let series: Vec<Option<String>> =
        files.par_iter().map(|file| (series_in.reads)(&relative(folder, file), file)).collect();
    let (mut by_series, mut others) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    for (file, series) in files.into_iter().zip(series) {
        match series {
            Some(series) => by_series.entry(series).or_default().push(file),
            None => others.push(file),
        }
    }
    Ok((by_series, others))
}

/// One case for each series of the table, and one for each file that belongs to none of the series.
pub(super) fn lidc_annotations(
    root: &Path,
    geometry: &ScanGeometries,
    series_in: &SeriesIn<'_>,
) -> Result<Vec<Case>, Error> {
    let (mut by_series, mut others) = reads_below(root, series_in)?;
    let mut cases = Vec::new();
    for (series, scan) in geometry {
        cases.push(Case {
            case_id: series.clone(),
            has_scan: true,
            patient: scan.patient_id.clone(),
            images: Vec::new(),
            annotations: by_series.remove(series).unwrap_or_default(),
            ..Case::default()
        });
    }
    others.extend(by_series.into_values().flatten());
    cases.extend(others.into_iter().map(|file| Case::without_scan(root, file)));
    Ok(cases)
}

pub(super) fn luna16(
    root: &Path,
    annotations: Option<&Path>,
    series_in: &SeriesIn<'_>,
) -> Result<Vec<Case>, Error> {
    let reads = annotations.map(|folder| reads_below(folder, series_in)).transpose()?;
    let (mut by_series, mut others) = reads.unwrap_or_default();
    let mut cases = Vec::new();
    for file in files_below(root)?.into_iter().filter(|file| image_file::is_image(file)) {
        let images = image_file::files(&file);
        let annotations = by_series.remove(&image_file::stem(&file)).unwrap_or_default();
        let case_id = relative(root, &file);
        cases.push(Case { case_id, has_scan: true, images, annotations, ..Case::default() });
    }
    others.extend(by_series.into_values().flatten());
    let base = annotations.unwrap_or(root);
    cases.extend(others.into_iter().map(|file| Case::without_scan(base, file)));
    Ok(cases)
}
