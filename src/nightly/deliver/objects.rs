//! DICOM objects of a scan's nodules.

use super::delivery::Delivery;
use super::earlier::EarlierObjects;
use super::error::Error;
use super::output::{FileContent, OutputKind};
use super::overlay::{self, Overlay};
use crate::nightly::scan::scored::{ScoredNodule, ScoredScan};
use nodulus_formats::dicom::{
    self, Author, Creation, NewContour, NewMeasurements, NewObject, NewPicture, NewRoi, NewSegment,
    SegmentMaker, SourceSeries,
};
use nodulus_formats::volume::LoadedSlices;
use nodulus_imaging::pixel_edges;
use std::collections::BTreeSet;

/// What the DICOM objects of a scan need.
pub(super) struct Objects<'a> {
    delivery: &'a Delivery<'a>,
    scan: &'a ScoredScan,
    source: SourceSeries,
    date_and_time: [String; 2],
    /// Ids of the nodules.
    ids: Vec<String>,
    earlier: EarlierObjects,
    /// The segmentation, if one is requested and a nodule has voxels. The report refers to it.
    segmentation: Option<NewObject>,
}

const NO_HEADER: &str = "the scan is an image file, which has no DICOM study to belong to";
const NO_FRAME: &str = "the series has no FrameOfReferenceUID for it to lie in";
const NO_VOXELS: &str = "no nodule has voxels";
const NOTHING_REPLACED: &str = "no earlier result of the series has objects that are not rejected";

/// The objects of a scan, or why there are none.
pub(super) fn objects<'a>(
    delivery: &'a Delivery<'a>,
    requested: &BTreeSet<OutputKind>,
    earlier: &EarlierObjects,
) -> Result<Result<Objects<'a>, &'static str>, Error> {
    let scan = delivery.scan;
    let Some(info) = scan.info.as_ref().filter(|_| !scan.files.is_empty()) else {
        return Ok(Err(NO_HEADER));
    };
    let read = SourceSeries::read(&scan.files, &scan.sop_instance_uids, &scan.geometry)?;
    let uid = |uid: &str| delivery.identity.uid(uid);
    let source = match delivery.identity.pseudonyms(&delivery.patient, &uid) {
        Some(pseudonyms) => read.deidentified(&pseudonyms),
        None => read,
    };
    if source.frame_of_reference_uid().is_none() {
        return Ok(Err(NO_FRAME));
    }
    let ids = scan.nodules.iter().map(|nodule| nodule.result_id(delivery.identity)).collect();
    let earlier = earlier.within(&uid(&info.study_instance_uid));
    let date_and_time = delivery.date_and_time()?;
    let mut objects =
        Objects { delivery, scan, source, date_and_time, ids, earlier, segmentation: None };
    if requested.contains(&OutputKind::Seg) {
        objects.segmentation = objects.new_segmentation()?;
    }
    Ok(Ok(objects))
}

impl Objects<'_> {
    pub(super) fn segmentation(&self) -> FileContent {
        content(self.segmentation.clone(), NO_VOXELS)
    }

    pub(super) fn structure_set(&self) -> Result<FileContent, Error> {
        let rois: Vec<NewRoi> = self.scan.nodules.iter().map(roi).collect();
        let creation = self.creation(OutputKind::Rtstruct);
        Ok(content(dicom::structure_set(&self.source, &creation, &rois)?, NO_VOXELS))
    }

    pub(super) fn rejection_note(&self) -> Result<FileContent, Error> {
        let (creation, rejected) =
            (self.creation(OutputKind::Rejection), self.earlier.unrejected());
        Ok(content(dicom::rejection_note(&self.source, &creation, &rejected)?, NOTHING_REPLACED))
    }

    fn new_segmentation(&self) -> Result<Option<NewObject>, Error> {
        let segments: Vec<NewSegment<'_>> = self
            .nodules()
            .filter_map(|(nodule, id)| {
                let mask = nodule.mask.as_ref()?;
                Some(NewSegment {
                    label: label(nodule),
                    description: None,
                    maker: SegmentMaker::Network,
                    tracking_id: id,
                    mask,
                })
            })
            .collect();
        Ok(dicom::segmentation(&self.source, &self.creation(OutputKind::Seg), &segments)?)
    }

    pub(super) fn report(&self) -> Result<FileContent, Error> {
        let mut n_segments = 0;
        let nodules: Vec<NewMeasurements<'_>> = self
            .nodules()
            .map(|(nodule, id)| {
                // As the segmentation numbers its segments.
                let has_voxels = nodule.mask.as_ref().is_some_and(|mask| !mask.mask.is_empty());
                n_segments += u16::from(has_voxels);
                NewMeasurements {
                    tracking_id: id,
                    segment: has_voxels.then_some(n_segments),
                    reading_session: None,
                    position_mm: nodule.centroid_mm,
                    volume_mm3: nodule.volume_mm3,
                    equivalent_diameter_mm: has_voxels.then_some(nodule.equivalent_diameter_mm),
                    long_axis_mm: nodule.axial_diameter_mm,
                    short_axis_mm: nodule.axial_short_diameter_mm,
                    mean_hu: nodule.mean_hu,
                    probability: nodule.probability,
                    ratings: None,
                }
            })
            .collect();
        let segmentation = self.segmentation.as_ref().map(|object| &object.reference);
        let creation = self.creation(OutputKind::Sr);
        let made = dicom::report(&self.source, &creation, segmentation, &nodules)?;
        Ok(written(made))
    }

    pub(super) fn picture(&self, hu: &LoadedSlices<i16>) -> Result<FileContent, Error> {
        Ok(match overlay::draw(self.delivery, hu) {
            Overlay::Empty(reason) => FileContent::Empty(reason),
            Overlay::Unavailable(reason) => FileContent::Unavailable(reason),
            Overlay::Drawn { canvas, slices } => {
                let (size, rgb) = (canvas.size(), canvas.rgb());
                let picture = NewPicture { size, rgb, slices: &slices };
                let creation = self.creation(OutputKind::Sc);
                written(dicom::secondary_capture(&self.source, &creation, &picture)?)
            }
        })
    }

    /// The nodules with their ids.
    fn nodules(&self) -> impl Iterator<Item = (&ScoredNodule, &str)> {
        self.scan.nodules.iter().zip(self.ids.iter().map(String::as_str))
    }

    fn creation(&self, output: OutputKind) -> Creation<'_> {
        let [date, time] = &self.date_and_time;
        let (algorithm, version) = (&self.scan.model.id, &self.scan.model.version);
        Creation {
            date,
            time,
            author: Author::Network,
            algorithm,
            version,
            number: self.earlier.next_number(output),
            replaces: self.earlier.replaced(output),
        }
    }
}

fn content(object: Option<NewObject>, otherwise: &str) -> FileContent {
    object.map_or_else(|| FileContent::Empty(otherwise.to_owned()), written)
}

fn written(NewObject { reference, bytes }: NewObject) -> FileContent {
    FileContent::Object(reference, bytes)
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
