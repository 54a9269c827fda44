//! A listed case: what names it, and the hash of its content.

use super::source_hashes::CaseHash;
use crate::stages::balance::luna16_subset;
use crate::stages::ingest::{self, file_stamp};
use nodulus_formats::cohort::{self, Case, Layout};
use nodulus_formats::image_file;
use nodulus_formats::scan_geometry::ScanGeometry;
use nodulus_store::{FailedCase, hash};
use rayon::prelude::*;
use std::iter::repeat;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A case before it is hashed.
pub(super) struct ListedCase<'a> {
    pub(super) cohort: &'a ingest::Cohort,
    pub(super) case: Case,
    /// Hash of the scan's geometry, where it comes from a table.
    pub(super) geometry_sha256: Option<String>,
}

impl<'a> ListedCase<'a> {
    /// A case whose files are still to be written.
    pub(super) fn expected(cohort: &'a ingest::Cohort, n: usize) -> Self {
        let patient = Some(format!("patient {n} of {}", cohort.name));
        let case_id = format!("case {n}, still to be written");
        let case = Case { case_id, patient, has_scan: true, ..Case::default() };
        Self { cohort, geometry_sha256: None, case }
    }

    /// Cohort and case.
    pub(super) fn id(&self) -> String {
        format!("{}/{}", self.cohort.name, self.case.case_id)
    }

    /// Whether the case has a name, so that its shard is known without its content.
    pub(super) fn has_name(&self) -> bool {
        unit_name(self.cohort.source, &self.case).is_some()
    }

    /// Where a file lies, relative to the cohort's folder of annotations or images.
    fn place(&self, path: &Path) -> String {
        let base = self.cohort.annotations.as_deref().filter(|base| path.starts_with(base));
        cohort::relative(base.unwrap_or(&self.cohort.root), path)
    }

    /// SHA-256 of where the files of the case lie, which reader each mask is of, and what was passed over beside them.
    pub(super) fn places_sha256(&self) -> String {
        let case = &self.case;
        let passed_over = case.passed_over.iter().map(|other| &other.path);
        let places = file_stamp::files(case).chain(passed_over).map(|path| self.place(path));
        let parts: Vec<String> = [case.case_id.clone(), format!("{:?}", case.readers)]
            .into_iter()
            .chain(places)
            .collect();
        hash::sha256_parts(parts.iter().map(String::as_str))
    }

    /// In place of the hash of a case that is not read.
    pub(super) fn unread(&self) -> HashedCase {
        let content = format!("not read yet: {}", self.id());
        let hash = CaseHash { stat: String::new(), files: content.clone(), content, fault: None };
        HashedCase { hash, stamp: String::new(), is_fresh: true }
    }
}

/// Hash of a scan's geometry.
pub(super) fn geometry_sha256(geometry: &ScanGeometry) -> String {
    let spacing = geometry.slices.spacing().ijk();
    let numbers = geometry.slices.z_mm().iter().chain(&spacing);
    let numbers: Vec<String> = numbers.map(f64::to_string).collect();
    let known = |text: &Option<String>| format!("{text:?}");
    let facts = [
        known(&geometry.study_instance_uid),
        known(&geometry.patient_id),
        format!("{:?} {}", geometry.slice_thickness_mm, geometry.n_duplicate_slices),
    ];
    let place = geometry.in_plane.map(|place| format!("{place:?} {:?}", geometry.slices.size()));
    hash::sha256_parts(facts.iter().chain(&numbers).chain(&place).map(String::as_str))
}

/// A case that was listed.
pub(super) struct HashedCase {
    pub(super) hash: CaseHash,
    /// The stamp that its files had before they were hashed.
    pub(super) stamp: String,
    /// Whether its files had to be read.
    pub(super) is_fresh: bool,
}

/// The hash of a case.
///
/// Where the machine is at fault that a file cannot be read, the hash has the fault.
///
/// It covers the bytes of the files, which reader a mask is of, and what names tell: the patient, the name of an image
/// file, LUNA16's subset. Where the files lie is no part of it. The hash of the files alone covers no name, so that it proves
/// renamed files the same, and copies equal.
pub(super) fn content(listed: &ListedCase<'_>, known: Option<&CaseHash>) -> HashedCase {
    let ListedCase { cohort, case, geometry_sha256 } = listed;
    let stamps: Vec<String> =
        file_stamp::files(case).map(|path| file_stamp::of_file(path)).collect();
    let stamp = file_stamp::of_case(&stamps);
    let stats = file_stamp::files(case)
        .zip(stamps)
        .map(|(path, stamp)| format!("{}\n{stamp}", listed.place(path)));
    let facts = facts(cohort, case);
    let stats: Vec<String> = stats.chain(geometry_sha256.clone()).chain(facts.clone()).collect();
    let stat = hash::sha256_parts(stats.iter().map(String::as_str));
    if let Some(known) = known.filter(|known| known.stat == stat && known.fault.is_none()) {
        return HashedCase { hash: known.clone(), stamp, is_fresh: false };
    }
    let (mut parts, mut files) = (facts, Vec::new());
    parts.extend(geometry_sha256.clone());
    files.extend(geometry_sha256.clone());
    let fault = Mutex::new(None);
    let digest = |path: &PathBuf| {
        hash::sha256_file(path).unwrap_or_else(|error| {
            let name = cohort::relative(&cohort.root, path);
            let failed = FailedCase::new("ingest", &case.case_id, &error, Some(name));
            if failed.is_passing()
                && let Ok(mut fault) = fault.lock()
            {
                fault.get_or_insert(failed.of_cohort(&cohort.name));
            }
            format!("unreadable: {:?}", error.kind())
        })
    };
    let mut images: Vec<String> = case.images.par_iter().map(digest).collect();
    images.sort();
    let count = format!("{} image files", images.len());
    parts.push(count.clone());
    parts.extend(images.clone());
    files.push(count);
    files.extend(images);
    let digests: Vec<String> = case.annotations.iter().map(digest).collect();
    let readers = case.readers.iter().map(usize::to_string).chain(repeat(String::new()));
    let of_readers =
        digests.iter().zip(readers).map(|(digest, reader)| format!("{reader} {digest}"));
    let data: Vec<String> = case.annotation_data.iter().map(digest).collect();
    for (parts, annotations) in [(&mut parts, of_readers.collect()), (&mut files, digests.clone())]
    {
        parts.push(format!("{} annotations", digests.len()));
        parts.extend(sorted(annotations));
        parts.extend(sorted(data.clone()));
    }
    let [content, files] =
        [parts, files].map(|parts| hash::sha256_parts(parts.iter().map(String::as_str)));
    let fault = fault.into_inner().unwrap_or_default();
    HashedCase { hash: CaseHash { stat, content, files, fault }, stamp, is_fresh: true }
}

fn sorted(mut digests: Vec<String>) -> Vec<String> {
    digests.sort();
    digests
}

/// What the names of a case's files tell of it.
fn facts(cohort: &ingest::Cohort, case: &Case) -> Vec<String> {
    let mut facts = vec![format!("{:?}", case.patient)];
    if case.has_scan && image_file::is_image(Path::new(&case.case_id)) {
        facts.push(file_name(&case.case_id));
    }
    if cohort.source == Layout::Luna16 {
        facts.push(format!("{:?}", luna16_subset(&case.case_id)));
    }
    facts.extend(case.problem.clone());
    facts.extend(
        case.passed_over.iter().map(|other| format!("{} {}", other.rule.name(), other.what)),
    );
    facts
}

/// What names a case and stays in one shard: the patient where the path names one, else the series where a name or a header
/// tells it.
pub(super) fn unit_name(layout: Layout, case: &Case) -> Option<String> {
    let is_named_by_series = matches!(layout, Layout::Luna16 | Layout::LidcAnnotations);
    match &case.patient {
        Some(patient) => Some(patient.clone()),
        None if is_named_by_series && case.has_scan => Some(file_name(&case.case_id)),
        None => case.series.clone(),
    }
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}
