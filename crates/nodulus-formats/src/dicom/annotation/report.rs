//! Points in structured reports: measurement reports (PS3.16, TID 1500) and detector reports (TID 4100).

use super::point::{Point, PointPosition, PointSet};
use crate::dicom::element::data_set::{DataSet, DicomFile, required};
use crate::dicom::error::Problem;
use crate::limits::{PIXEL, POSITION_MM};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

const WANTED: [Tag; 24] = [
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

/// Parses a report; see [`read_points`](crate::dicom::read_points).
pub(crate) fn parse(whole: &DicomFile) -> Result<PointSet, Problem> {
    let root = whole.data_set(&WANTED)?;
    let mut reading = ReportParser { root: &root, found: PointSet::default(), said: Vec::new() };
    reading.add_evidence()?;
    reading.add_items(&root, &mut vec![1])?;
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
}

impl<'a> ReportParser<'a> {
    /// Adds the images that the report was made from.
    fn add_evidence(&mut self) -> Result<(), Problem> {
        let of = [
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
            tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE,
        ];
        let studies = of.iter().flat_map(|tag| self.root.items(*tag));
        for series in studies.flat_map(|study| study.items(tags::REFERENCED_SERIES_SEQUENCE)) {
            let uid = series.ascii(tags::SERIES_INSTANCE_UID)?;
            self.found.referenced.series.extend(uid.map(str::to_owned));
            for image in series.items(tags::REFERENCED_SOP_SEQUENCE) {
                let uid = image.ascii(tags::REFERENCED_SOP_INSTANCE_UID)?;
                self.found.instances.extend(uid.map(str::to_owned));
            }
        }
        Ok(())
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
    /// marked. Elsewhere, a number or a Finding says so only where a report has no other. A summary (CID 6047) must say that all
    /// algorithms succeeded and found nothing.
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
            _ => value_type == Some("NUM"),
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
