//! Writes measurements as a report: DICOM Comprehensive 3D SR (PS3.3, A.35.13) of PS3.16, TID 1500.

use super::content_item::{
    HU, MM, MM3, PERCENT, Relationship, coded, container, number, point, put_root, segment, text,
    uid,
};
use super::derived_object::{Author, Creation, DerivedSeries};
use super::document;
use super::lidc_ratings::evaluations;
use super::new_object::{CodedConcept, Item, NewObject, put, put_items, seal};
use super::references::{ObjectReference, ReferenceTree};
use super::segmentation::{LUNG, NODULE};
use crate::dicom::error::Error;
use crate::dicom::series::source_series::SourceSeries;
use crate::lidc_xml::Ratings;
use dicom_dictionary_std::{tags, uids};

/// The measurements of a nodule. A number that was not measured is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMeasurements<'a> {
    /// Tracking identifier; that of the nodule's segment.
    pub tracking_id: &'a str,
    /// `SegmentNumber` of the nodule in the segmentation; `None` where it has no voxels.
    pub segment: Option<u16>,
    /// The reading session that drew it; `None` for a network's nodule and for a consensus.
    pub reading_session: Option<i64>,
    /// Centre of mass of its voxels, LPS; without voxels, the position of the candidate.
    pub position_mm: [f64; 3],
    /// Volume of its voxels; 0 without any.
    pub volume_mm3: f64,
    /// Diameter of the sphere of that volume.
    pub equivalent_diameter_mm: Option<f64>,
    /// Longest diameter within an axial slice.
    pub long_axis_mm: Option<f64>,
    /// Longest diameter perpendicular to it, in the same slice.
    pub short_axis_mm: Option<f64>,
    /// Mean of its voxels.
    pub mean_hu: Option<f64>,
    /// Probability of a nodule, from 0 to 1.
    pub probability: Option<f64>,
    /// The reader's ratings. Those off their scale are left out.
    pub ratings: Option<Ratings>,
}

const fn series(author: Author) -> DerivedSeries {
    let (series_number, series_description) = match author {
        Author::Network => ("903", "Lung nodules, automatic measurements"),
        Author::Readers => ("913", "Lung nodules, readers' ratings"),
    };
    DerivedSeries { modality: "SR", series_number, series_description }
}

const TITLE: CodedConcept = ("126000", "DCM", "Imaging Measurement Report");
/// CID 100.
const PROCEDURE: CodedConcept = ("25045-6", "LN", "CT unspecified body region");
/// METHOD: CID 7469 has no code for the diameter of the sphere of a volume, so that the scheme is our own.
const EQUIVALENT_DIAMETER: CodedConcept =
    ("EQ_DIAMETER", "99NODULUS", "Diameter of the sphere of the volume");
/// CID 6047: that the program found something, or nothing.
const SUMMARY: CodedConcept = ("111017", "DCM", "CAD Processing and Findings Summary");
const WITH_FINDINGS: CodedConcept = ("111242", "DCM", "All algorithms succeeded; with findings");
const WITHOUT_FINDINGS: CodedConcept =
    ("111241", "DCM", "All algorithms succeeded; without findings");

/// Makes a measurement report with a group for each nodule, in their order. `segmentation` is the object with their
/// segments; nodules refer to none without it.
///
/// A report without nodules says that the program found none. The same input gives the same bytes, in explicit VR
/// little endian.
///
/// # Errors
///
/// Fails if the series has no frame of reference.
pub fn report(
    source: &SourceSeries,
    creation: &Creation<'_>,
    segmentation: Option<&ObjectReference>,
    nodules: &[NewMeasurements<'_>],
) -> Result<NewObject, Error> {
    let frame_of_reference = source.frame_of_reference()?;
    let mut object = document::begin(source, creation, &series(creation.author));
    for (tag, value) in [
        (tags::COMPLETION_FLAG, "COMPLETE"),
        (tags::VERIFICATION_FLAG, "UNVERIFIED"),
        (tags::PRELIMINARY_FLAG, "FINAL"),
    ] {
        put(&mut object, tag, value);
    }
    put_items(&mut object, tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new());
    let mut evidence = ReferenceTree::default();
    evidence.add_series(source);
    if let Some(segmentation) = segmentation {
        evidence.add(segmentation);
    }
    evidence.put(&mut object, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE);
    let mut predecessors = ReferenceTree::default();
    if let Some(replaced) = creation.replaces {
        predecessors.add(replaced);
    }
    predecessors.put(&mut object, tags::PREDECESSOR_DOCUMENTS_SEQUENCE);

    let group = |nodule: &NewMeasurements<'_>| {
        measurement_group(source, creation, frame_of_reference, segmentation, nodule)
    };
    let groups: Vec<Item> = nodules.iter().map(group).collect();
    let summary = if groups.is_empty() { WITHOUT_FINDINGS } else { WITH_FINDINGS };
    let mut content = document::context(creation);
    content.push(coded(
        Relationship::HasModifier,
        ("121058", "DCM", "Procedure reported"),
        PROCEDURE,
    ));
    // TID 1500: measurements or evaluations, and a container is never empty.
    if !groups.is_empty() {
        content.push(container(("126010", "DCM", "Imaging Measurements"), None, groups));
    }
    if creation.author == Author::Network || nodules.is_empty() {
        let summary = coded(Relationship::Contains, SUMMARY, summary);
        let evaluations = ("C0034375", "UMLS", "Qualitative Evaluations");
        content.push(container(evaluations, None, vec![summary]));
    }
    put_root(&mut object, TITLE, "1500", content);
    seal(object, uids::COMPREHENSIVE3_DSR_STORAGE, uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .map_err(|problem| source.unwritable("the report", problem.to_string(), "one".into()))
}

/// The group of a nodule: TID 1411 with its segment, TID 1501 without one.
fn measurement_group(
    source: &SourceSeries,
    creation: &Creation<'_>,
    frame_of_reference: &str,
    segmentation: Option<&ObjectReference>,
    nodule: &NewMeasurements<'_>,
) -> Item {
    use Relationship::{Contains, HasContext, HasModifier};
    let tracking = source.tracking_uid(nodule.tracking_id);
    let mut items = vec![
        text(HasContext, ("112039", "DCM", "Tracking Identifier"), nodule.tracking_id),
        uid(HasContext, ("112040", "DCM", "Tracking Unique Identifier"), &tracking),
    ];
    if let Some(session) = nodule.reading_session {
        let name = ("C67447", "NCIt", "Activity Session");
        items.push(text(HasContext, name, &session.to_string()));
    }
    items.extend([
        coded(Contains, ("121071", "DCM", "Finding"), NODULE),
        coded(HasModifier, ("363698007", "SCT", "Finding Site"), LUNG),
        text(HasModifier, ("111001", "DCM", "Algorithm Name"), creation.algorithm),
        text(HasModifier, ("111003", "DCM", "Algorithm Version"), creation.version),
    ]);
    items.extend(measurements(nodule));
    items.extend(nodule.ratings.as_ref().map(evaluations).unwrap_or_default());
    // TID 1411 and 1501 are extensible: the position is a point of its own, by CID 219.
    let centre = ("128138", "DCM", "Center of Mass");
    items.push(point(centre, frame_of_reference, nodule.position_mm));
    let Some((segmentation, of)) = segmentation.zip(nodule.segment) else {
        return container(("125007", "DCM", "Measurement Group"), Some("1501"), items);
    };
    items.push(segment(("121191", "DCM", "Referenced Segment"), segmentation, of));
    let source_series = ("121232", "DCM", "Source series for segmentation");
    items.push(uid(Contains, source_series, &source.series_instance_uid));
    container(("125007", "DCM", "Measurement Group"), Some("1411"), items)
}

fn measurements(nodule: &NewMeasurements<'_>) -> Vec<Item> {
    let voxels = coded(
        Relationship::HasModifier,
        ("370129005", "SCT", "Measurement Method"),
        ("126030", "DCM", "Sum of segmented voxel volumes"),
    );
    let mean = coded(
        Relationship::HasModifier,
        ("121401", "DCM", "Derivation"),
        ("373098007", "SCT", "Mean"),
    );
    let percent = nodule.probability.map(|probability| 100.0 * probability);
    let rows: [(CodedConcept, Option<f64>, CodedConcept, Vec<Item>); 6] = [
        (("118565006", "SCT", "Volume"), Some(nodule.volume_mm3), MM3, vec![voxels]),
        (EQUIVALENT_DIAMETER, nodule.equivalent_diameter_mm, MM, Vec::new()),
        (("103339001", "SCT", "Long axis"), nodule.long_axis_mm, MM, Vec::new()),
        (("103340004", "SCT", "Short axis"), nodule.short_axis_mm, MM, Vec::new()),
        (("112031", "DCM", "Attenuation Coefficient"), nodule.mean_hu, HU, vec![mean]),
        (("111012", "DCM", "Certainty of Finding"), percent, PERCENT, Vec::new()),
    ];
    let measured = rows.into_iter().filter_map(|(name, value, unit, modifiers)| {
        value.map(|value| number(name, value, unit, modifiers))
    });
    measured.collect()
}
