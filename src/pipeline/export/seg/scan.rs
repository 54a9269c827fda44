//! The objects of a scan.

use super::segments::{self, Drawn, PlannedSegment, SegmentError};
use crate::stages::{Places, ScanFilesError, read_scan};
use crate::tables::{Mark, Nodule, Scan};
use nodulus_formats::dicom::{
    self, Author, Creation, NewMeasurements, NewObject, NewSegment, OpenSeries, SegmentMaker,
    SourceSeries, Tolerances,
};
use nodulus_formats::volume::Geometry;
use nodulus_formats::{cohort, uid};
use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::path::Path;

/// A scan with its nodules, and the marks that may be of them by their ids.
pub(super) struct SegScan<'a> {
    pub(super) scan: &'a Scan,
    pub(super) nodules: &'a [Nodule],
    pub(super) marks: &'a BTreeMap<String, Mark>,
}

/// The objects of a scan.
pub(super) struct ScanObjects {
    pub(super) segmentation: NewObject,
    pub(super) report: NewObject,
    pub(super) segments: Vec<WrittenSegment>,
    pub(super) n_without_consensus: usize,
    pub(super) n_ratings_off_scale: usize,
}

/// A segment as it was written.
pub(super) struct WrittenSegment {
    pub(super) number: u16,
    pub(super) label: String,
    pub(super) nodule_id: String,
    /// `None` for a consensus.
    pub(super) mark_id: Option<String>,
    pub(super) reading_session: Option<i64>,
    pub(super) tracking_uid: String,
    pub(super) n_voxels: usize,
    pub(super) volume_mm3: f64,
}

/// The objects of a scan could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    #[error(transparent)]
    Files(#[from] ScanFilesError),
    #[error(transparent)]
    Segments(#[from] SegmentError),
    #[error(transparent)]
    Dicom(#[from] dicom::Error),
    #[error("the scan is an image file, which has no DICOM study to belong to")]
    ImageFile,
    #[error(
        "its slices were moved onto an even grid (`ingest.tilt`), so that its masks are not on the pixels of its files"
    )]
    Moved,
    #[error("`{0}` is no UID, which the names of its files begin with")]
    Name(String),
    #[error("no segment has a voxel")]
    NoVoxels,
    #[error("it has more than 65,535 segments, which are the most that a segmentation holds")]
    TooMany,
}

impl SegScan<'_> {
    /// Reads the headers of the scan's slices and makes its objects. `made_by` names how nodules were merged.
    pub(super) fn objects(
        &self,
        root: &Path,
        places: &Places<'_>,
        tolerances: &Tolerances,
        made_by: &str,
    ) -> Result<ScanObjects, ScanError> {
        let series = &self.scan.series_instance_uid;
        if self.scan.tilt_deg.is_some() {
            return Err(ScanError::Moved);
        }
        if !uid::is_uid(series) {
            return Err(ScanError::Name(series.clone()));
        }
        let read = read_scan(root, places, self.scan, |files| {
            if files.is_image_file() {
                let size = [self.scan.n_columns, self.scan.n_rows, Some(self.scan.n_slices)];
                let size = size.map(|n| n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0));
                return Ok(Some((size, None)));
            }
            let named = |error| cohort::Error::from(files.named(error));
            let own = dicom::files_of_series(&files.dicom, series).map_err(named)?;
            if own.is_empty() {
                return Ok(None);
            }
            let open = OpenSeries::open(&own, tolerances).map_err(named)?;
            let OpenSeries { files: slices, sop_instance_uids, geometry, .. } = open;
            let source = SourceSeries::read(&slices, &sop_instance_uids, &geometry);
            Ok(Some((geometry.size(), Some((source.map_err(named)?, geometry)))))
        })?;
        let (source, geometry) = read.ok_or(ScanError::ImageFile)?;
        self.made(&source, &geometry, made_by)
    }

    fn made(
        &self,
        source: &SourceSeries,
        geometry: &Geometry,
        made_by: &str,
    ) -> Result<ScanObjects, ScanError> {
        let planned = segments::planned(self.nodules, self.marks)?;
        let n_consensus = planned.iter().filter(|of| matches!(of.drawn, Drawn::Consensus)).count();
        let [date, time] = source.study_time();
        let creation = Creation {
            date: &date,
            time: &time,
            author: Author::Readers,
            algorithm: made_by,
            version: env!("CARGO_PKG_VERSION"),
            number: 1,
            replaces: None,
        };
        let new: Vec<NewSegment<'_>> = planned.iter().map(new_segment).collect();
        let segmentation = dicom::segmentation(source, &creation, &new)?;
        let segmentation = segmentation.ok_or(ScanError::NoVoxels)?;
        let numbered = (1..=u16::MAX).zip(&planned);
        let mut measured = Vec::with_capacity(planned.len());
        let mut written = Vec::with_capacity(planned.len());
        for (number, segment) in numbered {
            let n_voxels = segment.mask.mask.count();
            let volume_mm3 = n_voxels as f64 * geometry.spacing().voxel_volume_mm3();
            let centre = segment.mask.centroid().ok_or(ScanError::NoVoxels)?;
            let mark = segment.mark();
            measured.push(NewMeasurements {
                tracking_id: segment.tracking_id,
                segment: Some(number),
                reading_session: mark.map(|mark| mark.reading_session),
                position_mm: geometry.voxel_to_patient(centre),
                volume_mm3,
                equivalent_diameter_mm: Some((6.0 / PI * volume_mm3).cbrt()),
                long_axis_mm: None,
                short_axis_mm: None,
                mean_hu: None,
                probability: None,
                ratings: mark.map(segments::ratings),
            });
            written.push(WrittenSegment {
                number,
                label: segment.label.clone(),
                nodule_id: segment.nodule_id.to_owned(),
                mark_id: mark.map(|mark| mark.mark_id.clone()),
                reading_session: mark.map(|mark| mark.reading_session),
                tracking_uid: source.tracking_uid(segment.tracking_id),
                n_voxels,
                volume_mm3,
            });
        }
        if written.len() < planned.len() {
            return Err(ScanError::TooMany);
        }
        let report = dicom::report(source, &creation, Some(&segmentation.reference), &measured)?;
        let marks = planned.iter().filter_map(PlannedSegment::mark);
        Ok(ScanObjects {
            segmentation,
            report,
            segments: written,
            n_without_consensus: self.nodules.len() - n_consensus,
            n_ratings_off_scale: marks.map(|mark| mark.ratings.n_off_scale()).sum(),
        })
    }
}

fn new_segment<'a>(planned: &'a PlannedSegment<'_>) -> NewSegment<'a> {
    NewSegment {
        label: planned.label.clone(),
        description: Some(planned.description.clone()),
        tracking_id: planned.tracking_id,
        maker: match planned.drawn {
            Drawn::Consensus => SegmentMaker::Consensus,
            Drawn::By(_) => SegmentMaker::Reader,
        },
        mask: &planned.mask,
    }
}
