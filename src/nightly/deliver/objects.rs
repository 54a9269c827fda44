//! DICOM objects of a scan's nodules.

use super::delivery::Delivery;
use super::error::Error;
use super::output::FileContent;
use crate::nightly::scan::scored::{ScoredNodule, ScoredScan};
use nodulus_formats::dicom::{
    self, Creation, NewContour, NewObject, NewRoi, NewSegment, SourceSeries,
};
use nodulus_imaging::pixel_edges;

/// What the DICOM objects of a scan need, or why there are none.
pub(super) struct Objects<'a> {
    scan: &'a ScoredScan,
    source: Result<SourceSeries, String>,
    date_and_time: [String; 2],
    /// Ids of the nodules.
    ids: Vec<String>,
}

const NO_HEADER: &str = "the scan is an image file, which has no DICOM study to belong to";
const NO_FRAME: &str = "the series has no FrameOfReferenceUID for it to lie in";
const NO_VOXELS: &str = "no nodule has voxels";

impl<'a> Objects<'a> {
    pub(super) fn new(delivery: &Delivery<'a>) -> Result<Self, Error> {
        let scan = delivery.scan;
        let source = if scan.files.is_empty() || scan.info.is_none() {
            Err(NO_HEADER.to_owned())
        } else {
            let read = SourceSeries::read(&scan.files, &scan.sop_instance_uids, &scan.geometry)?;
            let uid = |uid: &str| delivery.identity.uid(uid);
            let source = match delivery.identity.pseudonyms(&delivery.patient, &uid) {
                Some(pseudonyms) => read.deidentified(&pseudonyms),
                None => read,
            };
            let has_frame = source.frame_of_reference_uid().is_some();
            if has_frame { Ok(source) } else { Err(NO_FRAME.to_owned()) }
        };
        let ids =
            scan.nodules.iter().map(|nodule| delivery.identity.id(&nodule.nodule_id)).collect();
        Ok(Self { scan, source, date_and_time: delivery.date_and_time()?, ids })
    }

    pub(super) fn segmentation(&self) -> Result<FileContent, Error> {
        let source = match &self.source {
            Ok(source) => source,
            Err(reason) => return Ok(FileContent::Unavailable(reason.clone())),
        };
        let nodules = self.scan.nodules.iter().zip(&self.ids);
        let segments: Vec<NewSegment<'_>> = nodules
            .filter_map(|(nodule, id)| {
                let mask = nodule.mask.as_ref()?;
                Some(NewSegment { label: label(nodule), tracking_id: id, mask })
            })
            .collect();
        Ok(content(dicom::segmentation(source, &self.creation(), &segments)?))
    }

    pub(super) fn structure_set(&self) -> Result<FileContent, Error> {
        let source = match &self.source {
            Ok(source) => source,
            Err(reason) => return Ok(FileContent::Unavailable(reason.clone())),
        };
        let rois: Vec<NewRoi> = self.scan.nodules.iter().map(roi).collect();
        Ok(content(dicom::structure_set(source, &self.creation(), &rois)?))
    }

    fn creation(&self) -> Creation<'_> {
        let [date, time] = &self.date_and_time;
        let (algorithm, version) = (&self.scan.model.id, &self.scan.model.version);
        Creation { date, time, algorithm, version }
    }
}

fn content(object: Option<NewObject>) -> FileContent {
    match object {
        Some(object) => FileContent::Bytes(object.bytes),
        None => FileContent::Empty(NO_VOXELS.to_owned()),
    }
}

fn label(nodule: &ScoredNodule) -> String {
    format!("Nodule {}", nodule.number)
}

fn roi(nodule: &ScoredNodule) -> NewRoi {
    let contours = nodule.mask.iter().flat_map(|mask| {
        let slices = mask.start[2]..mask.end()[2];
        slices.flat_map(|k| {
            let lines = pixel_edges::outlines(mask, k).into_iter();
            lines.map(move |points_ij| NewContour { k, points_ij })
        })
    });
    NewRoi { number: nodule.number, name: label(nodule), contours: contours.collect() }
}
