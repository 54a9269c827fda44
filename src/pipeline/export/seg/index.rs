//! `segments.csv`: a row for each segment.

use super::scan::WrittenSegment;
use crate::pipeline::export::Error;
use crate::tables::Scan;
use serde::Serialize;
use std::path::Path;

const INDEX: &str = "segments.csv";

#[derive(Serialize)]
struct IndexRow<'a> {
    series_instance_uid: &'a str,
    patient_id: &'a str,
    segment_number: u16,
    label: &'a str,
    nodule_id: &'a str,
    /// Empty for a consensus.
    mark_id: Option<&'a str>,
    reading_session: Option<i64>,
    tracking_uid: &'a str,
    n_voxels: usize,
    volume_mm3: f64,
}

/// The open file.
pub(super) struct Index(csv::Writer<fs_err::File>);

impl Index {
    pub(super) fn create(folder: &Path) -> Result<Self, Error> {
        Ok(Self(csv::Writer::from_writer(fs_err::File::create(folder.join(INDEX))?)))
    }

    pub(super) fn add(&mut self, scan: &Scan, segment: &WrittenSegment) -> Result<(), Error> {
        self.0.serialize(IndexRow {
            series_instance_uid: &scan.series_instance_uid,
            patient_id: &scan.patient_id,
            segment_number: segment.number,
            label: &segment.label,
            nodule_id: &segment.nodule_id,
            mark_id: segment.mark_id.as_deref(),
            reading_session: segment.reading_session,
            tracking_uid: &segment.tracking_uid,
            n_voxels: segment.n_voxels,
            volume_mm3: segment.volume_mm3,
        })?;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), Error> {
        Ok(self.0.flush()?)
    }
}
