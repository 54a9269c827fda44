//! Points in structured reports: measurement reports (PS3.16, TID 1500) and detector reports (TID 4100).

use super::point::{Examined, Point, PointPosition, PointSet};
use crate::dicom::element::data_set::{DataSet, DicomFile, required};
use crate::dicom::error::{Problem, attribute_name};
use crate::dicom::series::sop_class::{self, SopClass};
use crate::limits::{PIXEL, POSITION_MM};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::collections::{BTreeMap, BTreeSet};

const WANTED: [Tag; 27] = [
    tags::REFERENCED_SOP_CLASS_UID,
    tags::REFERENCED_SOP_INSTANCE_UID,
    tags::REFERENCED_FRAME_NUMBER,
    tags::REFERENCED_SERIES_SEQUENCE,
    tags::REFERENCED_SOP_SEQUENCE,
    tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
    tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE,
    tags::CODE_VALUE,
    tags::LONG_CODE_VALUE,
    tags::URN_CODE_VALUE,
    tags::CODING_SCHEME_DESIGNATOR,
    tags::SERIES_INSTANCE_UID,
    tags::MEASUREMENT_UNITS_CODE_SEQUENCE,
    tags::COMPLETION_FLAG,
    tags::PRELIMINARY_FLAG,
    tags::RELATIONSHIP_TYPE,
    tags::VALUE_TYPE,
    tags::CONCEPT_NAME_CODE_SEQUENCE,
    tags::CONCEPT_CODE_SEQUENCE,
    tags::MEASURED_VALUE_SEQUENCE,
    tags::NUMERIC_VALUE,
    tags::CONTENT_SEQUENCE,
    tags::REFERENCED_CONTENT_ITEM_IDENTIFIER,
    tags::GRAPHIC_DATA,
    tags::GRAPHIC_TYPE,
    tags::PIXEL_ORIGIN_INTERPRETATION,
    tags::REFERENCED_FRAME_OF_REFERENCE_UID,
];

/// Concepts for the confidence in a finding, the most specific first. Probability of cancer is a different concept.
///
/// METHOD: DCM Certainty of Finding, Certainty of Feature, Probability (PS3.16, TID 4104 and 4105).
const CONFIDENCES: [&str; 3] = ["111012", "111011", "122157"];

/// DCM Finding: what a measurement group is about.
const FINDING: &str = "121071";

/// Concepts of findings: a group of measurements (TID 1410, 1411 and 1501), and what a detector reports (TID 4101 and 4104).
const FINDINGS: [&str; 3] = ["125007", "111015", "111059"];

/// DCM CAD Processing and Findings Summary, and its one value (CID 6047) by which all algorithms succeeded and found
/// nothing.
const SUMMARY: &str = "111017";
const WITHOUT_FINDINGS: &str = "111241";

/// DCM Summary of Detections, and its value (CID 6042) by which they succeeded.
const DETECTIONS: &str = "111064";
const SUCCEEDED: &str = "111222";

/// Parses a report; see [`read_points`](crate::dicom::read_points).
pub(crate) fn parse(whole: &DicomFile) -> Result<PointSet, Problem> {
    let root = whole.data_set(&WANTED)?;
    // A root is never alone: what it held was lost.
    if root.items(tags::CONTENT_SEQUENCE).is_empty() {
        return Err(Problem::Missing(attribute_name(tags::CONTENT_SEQUENCE)));
    }
    let mut reading = ReportParser {
        root: &root,
        found: PointSet::default(),
        said: Vec::new(),
        current: BTreeMap::new(),
        images: BTreeSet::new(),
    };
    reading.add_evidence()?;
    reading.add_items(&root, &mut vec![1])?;
    reading.found.examined = reading.examined()?;
    let PointSet { points, without_point, .. } = &mut reading.found;
    if points.is_empty() && without_point.is_empty() {
        without_point.append(&mut reading.said);
    }
    Ok(reading.found)
}

struct ReportParser<'a> {
    root: &'a DataSet<'a>,
    found: PointSet,
    /// Items that say, outside a finding, that there are findings, or that it is not known whether there are.
    said: Vec<String>,
    /// The instances of each CT series of the procedure that is reported.
    current: BTreeMap<String, BTreeSet<String>>,
    /// `SOPInstanceUID` of each image that is an item of the content.
    images: BTreeSet<String>,
}

impl<'a> ReportParser<'a> {
    /// Adds the images that the report was made from.
    ///
    /// METHOD: other evidence is that of earlier procedures, with which the reported one was compared (PS3.3, C.17.2.3). Its series
    /// count only if the report names no CT series of its own procedure.
    fn add_evidence(&mut self) -> Result<(), Problem> {
        self.add_series_of(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, true)?;
        if self.current.is_empty() {
            self.add_series_of(tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE, false)?;
        }
        Ok(())
    }

    fn add_series_of(&mut self, evidence: Tag, is_current: bool) -> Result<(), Problem> {
        let studies = self.root.items(evidence).iter();
        for series in studies.flat_map(|study| study.items(tags::REFERENCED_SERIES_SEQUENCE)) {
            let Some(uid) = series.ascii(tags::SERIES_INSTANCE_UID)? else { continue };
            self.found.referenced.series.insert(uid.to_owned());
            let (mut instances, mut may_be_ct) = (BTreeSet::new(), false);
            for image in series.items(tags::REFERENCED_SOP_SEQUENCE) {
                let class = image.ascii(tags::REFERENCED_SOP_CLASS_UID)?;
                may_be_ct |= class.is_none_or(is_ct);
                let uid = image.ascii(tags::REFERENCED_SOP_INSTANCE_UID)?;
                instances.extend(uid.map(str::to_owned));
            }
            self.found.instances.extend(instances.iter().cloned());
            if is_current && may_be_ct {
                self.current.entry(uid.to_owned()).or_default().extend(instances);
            }
        }
        Ok(())
    }

    /// The series that were looked at.
    ///
    /// METHOD: of several CT series of the procedure, those of the images in the report's content. A report that is partial or
    /// preliminary may still get findings.
    fn examined(&self) -> Result<Examined, Problem> {
        let completion = self.root.ascii(tags::COMPLETION_FLAG)?;
        if completion.is_some_and(|flag| flag != "COMPLETE") {
            return Ok(Examined::Unknown("it is not complete (CompletionFlag)".to_owned()));
        }
        if self.root.ascii(tags::PRELIMINARY_FLAG)? == Some("PRELIMINARY") {
            return Ok(Examined::Unknown("it is preliminary (PreliminaryFlag)".to_owned()));
        }
        if self.current.is_empty() {
            return Ok(Examined::Unknown("it references no CT series of its procedure".to_owned()));
        }
        let shown = self.current.iter().filter(|(_, of)| !of.is_disjoint(&self.images));
        let shown: BTreeSet<String> = shown.map(|(series, _)| series.clone()).collect();
        if shown.is_empty() {
            return Ok(Examined::one_of(&self.current.keys().cloned().collect()));
        }
        Ok(Examined::one_of(&shown))
    }

    /// Adds the points of all items below `parent`; `path` are the positions, from 1, of that item and of those above
    /// it.
    fn add_items(&mut self, parent: &'a DataSet<'a>, path: &mut Vec<usize>) -> Result<(), Problem> {
        for (n, item) in parent.items(tags::CONTENT_SEQUENCE).iter().enumerate() {
            path.push(n + 1);
            let value_type = item.ascii(tags::VALUE_TYPE)?;
            match value_type {
                Some("SCOORD") => self.add_marked(parent, item, path, false)?,
                Some("SCOORD3D") => self.add_marked(parent, item, path, true)?,
                Some("IMAGE") => {
                    for image in item.items(tags::REFERENCED_SOP_SEQUENCE) {
                        let uid = image.ascii(tags::REFERENCED_SOP_INSTANCE_UID)?;
                        self.images.extend(uid.map(str::to_owned));
                    }
                }
                _ => {}
            }
            let n_before = self.n_findings();
            // The depth is limited by that of parsed data sets.
            self.add_items(item, path)?;
            if self.n_findings() == n_before {
                self.add_without_point(item, value_type, path)?;
            }
            path.pop();
        }
        Ok(())
    }

    /// Findings so far, with a point and without.
    fn n_findings(&self) -> usize {
        self.found.points.len() + self.found.without_point.len()
    }

    /// Adds an item, below which no point is, if it says that something was found.
    ///
    /// METHOD: a group of measurements, what has a Finding, and a detector's finding are findings whether or not their place is
    /// marked. Elsewhere, a number, a Finding or a text of the reporter (an impression, not the context of an observation) says so
    /// only where a report has no other. A summary (CID 6047) must say that all algorithms succeeded and found nothing, and
    /// one of detections (CID 6042) that they succeeded.
    fn add_without_point(
        &mut self,
        item: &DataSet<'_>,
        value_type: Option<&str>,
        path: &[usize],
    ) -> Result<(), Problem> {
        let concept = concept(item)?;
        let mut is_finding = concept.is_some_and(|concept| FINDINGS.contains(&concept));
        for below in item.items(tags::CONTENT_SEQUENCE) {
            is_finding |= self::concept(below)? == Some(FINDING);
        }
        let is_said = match concept {
            Some(FINDING) => true,
            Some(SUMMARY) => {
                let value = code(item, tags::CONCEPT_CODE_SEQUENCE)?;
                value.is_none_or(|value| value != (WITHOUT_FINDINGS, "DCM"))
            }
            Some(DETECTIONS) => {
                let value = code(item, tags::CONCEPT_CODE_SEQUENCE)?;
                value.is_none_or(|value| value != (SUCCEEDED, "DCM"))
            }
            _ => match value_type {
                Some("NUM") => true,
                Some("TEXT") => {
                    let relationship = item.ascii(tags::RELATIONSHIP_TYPE)?;
                    relationship.is_none_or(|relationship| relationship == "CONTAINS")
                }
                _ => false,
            },
        };
        if is_finding {
            self.found.without_point.push(label(path));
        } else if is_said {
            self.said.push(label(path));
        }
        Ok(())
    }

    fn add_marked(
        &mut self,
        parent: &'a DataSet<'a>,
        item: &'a DataSet<'a>,
        path: &[usize],
        in_patient: bool,
    ) -> Result<(), Problem> {
        let label = position(path);
        let graphic = required(item.ascii(tags::GRAPHIC_TYPE)?, tags::GRAPHIC_TYPE)?;
        let skipped = match (graphic, parent.ascii(tags::VALUE_TYPE)?) {
            ("POINT", Some("CONTAINER" | "CODE")) => None,
            ("POINT", other) => {
                Some(format!("a point of an item {}", other.unwrap_or("of no type")))
            }
            (other, _) => Some(format!("a graphic of type {other}")),
        };
        let found = match skipped {
            Some(skipped) => Err(skipped),
            None if in_patient => Ok(self.in_patient(item)?),
            None => self.on_image(item)?,
        };
        match found {
            Err(skipped) => self.found.skipped.push(format!("content item {label} is {skipped}")),
            Ok(position) => {
                let (finding, confidence) = (finding(parent)?, confidence(parent)?);
                self.found.points.push(Point { label, position, finding, confidence });
            }
        }
        Ok(())
    }

    fn in_patient(&mut self, item: &DataSet<'_>) -> Result<PointPosition, Problem> {
        let tag = tags::REFERENCED_FRAME_OF_REFERENCE_UID;
        let uid = required(item.ascii(tag)?, tag)?.to_owned();
        self.found.referenced.frames_of_reference.insert(uid.clone());
        let point_mm = item.floats(tags::GRAPHIC_DATA)?;
        if !POSITION_MM.hold(&point_mm) {
            let found = format!("{point_mm:?}");
            return Err(Problem::value(tags::GRAPHIC_DATA, found, POSITION_MM));
        }
        Ok(PointPosition::Patient { point_mm, frame_of_reference_uid: Some(uid) })
    }

    /// A point on an image, or the reason why it is skipped: it is on no image, or on several.
    fn on_image(
        &mut self,
        item: &'a DataSet<'a>,
    ) -> Result<Result<PointPosition, String>, Problem> {
        let pixel @ [column, row] = item.floats(tags::GRAPHIC_DATA)?;
        if !PIXEL.hold(&pixel) {
            return Err(Problem::value(tags::GRAPHIC_DATA, format!("{pixel:?}"), PIXEL));
        }
        if let Some(origin @ "VOLUME") = item.ascii(tags::PIXEL_ORIGIN_INTERPRETATION)? {
            return Ok(Err(format!("a point by the origin of a {origin}")));
        }
        let mut images = Vec::new();
        for target in item.items(tags::CONTENT_SEQUENCE) {
            let target = self.resolved(target)?;
            if target.ascii(tags::VALUE_TYPE)? == Some("IMAGE") {
                images.extend(target.item(tags::REFERENCED_SOP_SEQUENCE));
            }
        }
        let [image] = images[..] else {
            return Ok(Err(format!("a point on {} images", images.len())));
        };
        let tag = tags::REFERENCED_SOP_INSTANCE_UID;
        let sop_instance_uid = required(image.ascii(tag)?, tag)?.to_owned();
        self.found.instances.insert(sop_instance_uid.clone());
        let tag = tags::REFERENCED_FRAME_NUMBER;
        let frame = match image.ascii(tag)? {
            None => None,
            Some(text) => {
                let number = text.parse().ok().filter(|number| *number > 0);
                let number =
                    number.ok_or_else(|| Problem::value(tag, text, "one number from 1"))?;
                Some(number)
            }
        };
        // PS3.3, C.18.6: the corner of the first pixel is at 0, its centre at a half.
        let ij = [column - 0.5, row - 0.5];
        Ok(Ok(PointPosition::Image { sop_instance_uid, frame, ij }))
    }

    /// An item, or the one that it refers to by a path of positions from the root, which is 1 (PS3.3, C.17.3.2.5).
    fn resolved(&self, item: &'a DataSet<'a>) -> Result<&'a DataSet<'a>, Problem> {
        let tag = tags::REFERENCED_CONTENT_ITEM_IDENTIFIER;
        let path = item.unsigned_longs(tag)?;
        let Some((root, below)) = path.split_first() else { return Ok(item) };
        let mut target = (*root == 1).then_some(self.root);
        for n in below {
            let n = usize::try_from(*n).ok().and_then(|n| n.checked_sub(1));
            target = target.and_then(|t| t.items(tags::CONTENT_SEQUENCE).get(n?));
        }
        target.ok_or_else(|| Problem::value(tag, format!("{path:?}"), "the path of a content item"))
    }
}

/// Whether a class is of CT images.
fn is_ct(class: &str) -> bool {
    matches!(sop_class::of(class), SopClass::Ct | SopClass::MultiFrameCt)
}

/// A content item by the positions, from 1, of it and of those above it.
fn position(path: &[usize]) -> String {
    path.iter().map(usize::to_string).collect::<Vec<_>>().join(".")
}

fn label(path: &[usize]) -> String {
    format!("content item {}", position(path))
}

/// The value and the scheme of a code.
fn code<'a>(item: &DataSet<'a>, tag: Tag) -> Result<Option<(&'a str, &'a str)>, Problem> {
    let Some(code) = item.item(tag) else { return Ok(None) };
    for value in [tags::CODE_VALUE, tags::LONG_CODE_VALUE, tags::URN_CODE_VALUE] {
        if let Some(value) = code.ascii(value)? {
            return Ok(Some((
                value,
                code.ascii(tags::CODING_SCHEME_DESIGNATOR)?.unwrap_or_default(),
            )));
        }
    }
    Ok(None)
}

/// The concept of an item, if it is of DCM.
fn concept<'a>(item: &DataSet<'a>) -> Result<Option<&'a str>, Problem> {
    let name = code(item, tags::CONCEPT_NAME_CODE_SEQUENCE)?;
    Ok(name.filter(|(_, scheme)| *scheme == "DCM").map(|(value, _)| value))
}

/// The code of what a container or a finding is about.
fn finding(group: &DataSet<'_>) -> Result<Option<String>, Problem> {
    let written = |(value, scheme): (&str, &str)| format!("{value}, {scheme}");
    if group.ascii(tags::VALUE_TYPE)? == Some("CODE") {
        return Ok(code(group, tags::CONCEPT_CODE_SEQUENCE)?.map(written));
    }
    for item in group.items(tags::CONTENT_SEQUENCE) {
        if code(item, tags::CONCEPT_NAME_CODE_SEQUENCE)? == Some((FINDING, "DCM")) {
            return Ok(code(item, tags::CONCEPT_CODE_SEQUENCE)?.map(written));
        }
    }
    Ok(None)
}

/// The confidence of a container or a finding.
fn confidence(group: &DataSet<'_>) -> Result<Option<f64>, Problem> {
    for wanted in CONFIDENCES {
        for item in group.items(tags::CONTENT_SEQUENCE) {
            if code(item, tags::CONCEPT_NAME_CODE_SEQUENCE)? != Some((wanted, "DCM")) {
                continue;
            }
            let Some(measured) = item.item(tags::MEASURED_VALUE_SEQUENCE) else { continue };
            let [value] = measured.numbers(tags::NUMERIC_VALUE)?;
            let units = code(measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE)?;
            let is_percent = units.is_some_and(|(value, _)| value == "%");
            return Ok(Some(if is_percent { value / 100.0 } else { value }));
        }
    }
    Ok(None)
}
