//! What a folder, an archive or an image file of the input holds.

use crate::nightly::problem::Problem;
use crate::nightly::redaction::{self, OwnError, PrivateFolder};
use nodulus_faults::FaultClass;
use nodulus_formats::cohort::CaseFiles;
use nodulus_formats::dicom::{
    FileContent, PassedOver, PassedOverRule, SeriesFiles, UnreadableFile,
};
use nodulus_formats::image_file::ImageRules;
use nodulus_formats::{dicom, image_file};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a source held when it was last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceContents {
    /// Stamp of all its files.
    pub(super) stamp: String,
    /// Its CT series, and those of which it has no slice.
    pub(super) series: Vec<ContainedSeries>,
    /// Indices of its files that may hold points.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) points: Vec<usize>,
    /// Which of its files cannot be read, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) unreadable: Vec<String>,
    /// The fault of the machine by which some of its files could not be read; such contents are not kept.
    #[serde(skip)]
    pub(super) fault: Option<Problem>,
}

/// A CT series of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ContainedSeries {
    pub(super) series_instance_uid: String,
    /// Its files in this source.
    pub(super) n_files: usize,
    /// Number of instances that a header announces for the series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) announced: Option<usize>,
    /// Indices of its files in a folder with other series; empty where every file may be the series'.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<usize>,
    /// Why the series is no scan, if none of its files here is a slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) no_scan: Option<NoScan>,
    /// Why it may lack a slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) incomplete: Option<String>,
}

/// Why a series is no scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NoScan {
    /// Name of the rule, as in `passed_over` or `score_exclusions`.
    pub(crate) rule: String,
    /// Why, in words.
    pub(crate) reason: String,
}

/// How an image file is read to name its series: whatever can be put right is, so that the name does not depend on
/// the settings. The scan itself is read by the settings.
const NAMING: ImageRules =
    ImageRules { round_hu: true, nan_hu: Some(-1024), clamp_hu: true, unplaced: true };

impl ContainedSeries {
    fn whole(series_instance_uid: String, n_files: usize, announced: Option<usize>) -> Self {
        Self {
            series_instance_uid,
            n_files,
            announced,
            files: Vec::new(),
            no_scan: None,
            incomplete: None,
        }
    }

    /// Picks the series' own values from a list with one value for each file of the folder.
    pub(super) fn own<'a, T>(&self, of_files: &'a [T]) -> Vec<&'a T> {
        if self.files.is_empty() {
            return of_files.iter().collect();
        }
        self.files.iter().filter_map(|n| of_files.get(*n)).collect()
    }
}

impl NoScan {
    /// What a file of a series is instead of a slice, if the series is of CT.
    fn of(other: &PassedOver) -> Option<Self> {
        let is_ct = matches!(
            other.rule,
            PassedOverRule::Localizer | PassedOverRule::NoImage | PassedOverRule::ScreenSave
        );
        let rule = other.rule.name().to_owned();
        is_ct.then(|| Self { rule, reason: other.what.clone() })
    }
}

impl SourceContents {
    /// Reads which series the files of a folder belong to.
    pub(super) fn folder(
        input: PrivateFolder<'_>,
        files: &[PathBuf],
        beside: &[PassedOver],
        stamp: String,
    ) -> Self {
        Self::of_files(input, files, beside, stamp, &|error| redaction::cause(input, &error)).0
    }

    /// What files hold, and whether one of them is DICOM of another kind than CT.
    ///
    /// METHOD: an empty file may be a slice that is still to be written, if there are slices beside it.
    fn of_files(
        input: PrivateFolder<'_>,
        files: &[PathBuf],
        beside: &[PassedOver],
        stamp: String,
        cause: &dyn Fn(dicom::Error) -> String,
    ) -> (Self, bool) {
        let mut has_others = false;
        let mut unknown: Vec<_> = beside.iter().filter_map(UnreadableFile::of_no_file).collect();
        let mut empty = Vec::new();
        let mut by_uid: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut others: BTreeMap<String, (Vec<usize>, NoScan)> = BTreeMap::new();
        let (mut unreadable, mut points, mut fault) = (Vec::new(), Vec::new(), None);
        let mut hold_back = |error: &dicom::Error| {
            let found = Problem::of(input, error);
            // A file that denies its reader concerns fewer series than any other fault.
            if fault.as_ref().is_none_or(|fault: &Problem| fault.is_denied) {
                fault = Some(found);
            }
        };
        for (n, content) in dicom::contents_of_each(files).into_iter().enumerate() {
            unknown.extend(UnreadableFile::of(&files[n], &content));
            match content {
                Ok(FileContent::Slice(uid)) => by_uid.entry(uid).or_default().push(n),
                Ok(FileContent::Other(other)) => match dicom::may_hold_points(&files[n]) {
                    Ok(true) => {
                        has_others = true;
                        points.push(n);
                    }
                    Ok(false) => {
                        has_others |= other.rule == PassedOverRule::OtherModality;
                        if other.may_be_slice() && other.is_misnamed() {
                            empty.push(cause(other.unreadable()));
                        }
                        if let (Some(no_scan), Some(uid)) =
                            (NoScan::of(&other), other.series_instance_uid)
                        {
                            others.entry(uid).or_insert((Vec::new(), no_scan)).0.push(n);
                        }
                    }
                    Err(error) => hold_back(&error),
                },
                Err(error) if FaultClass::of(&error).is_passing() => hold_back(&error),
                Err(error) => unreadable.push(cause(error)),
            }
        }
        if !by_uid.is_empty() {
            unreadable.extend(empty);
        }
        let named = |(uid, own): (&String, &Vec<usize>)| SeriesFiles {
            series_instance_uid: uid.clone(),
            files: own.iter().map(|n| files[*n].clone()).collect(),
        };
        let mut incomplete = if unknown.is_empty() {
            BTreeMap::new()
        } else {
            dicom::lost_slices(&by_uid.iter().map(named).collect::<Vec<_>>(), &unknown)
        };
        // Localizers in the series that they plan are none of their own.
        others.retain(|uid, _| !by_uid.contains_key(uid));
        let is_alone = by_uid.len() == 1;
        let mut series: Vec<ContainedSeries> = Vec::with_capacity(by_uid.len() + others.len());
        for (uid, own) in by_uid {
            let first = own.first().map(|n| dicom::announced_instances(&files[*n]));
            let announced = first.transpose().unwrap_or_else(|error| {
                hold_back(&error);
                None
            });
            let incomplete = incomplete.remove(&uid).map(cause);
            let whole = ContainedSeries::whole(uid, own.len(), announced.flatten());
            let whole = ContainedSeries { incomplete, ..whole };
            series.push(if is_alone { whole } else { ContainedSeries { files: own, ..whole } });
        }
        for (uid, (own, no_scan)) in others {
            let whole = ContainedSeries::whole(uid, own.len(), None);
            series.push(ContainedSeries { files: own, no_scan: Some(no_scan), ..whole });
        }
        (Self { stamp, series, points, unreadable, fault }, has_others)
    }

    /// Reads which series an archive holds. One of reports or of another modality holds none, as a folder of them.
    pub(super) fn archive(input: PrivateFolder<'_>, path: &Path, stamp: String) -> Self {
        match CaseFiles::at(path) {
            Ok(files) => {
                let cause = |error| redaction::cause(input, &files.named(error));
                let (mut contents, has_others) =
                    Self::of_files(input, &files.dicom, &[], stamp, &cause);
                // Indices are of no use: the files are unpacked again when the series is read.
                contents.series.iter_mut().for_each(|series| series.files.clear());
                contents.points.clear();
                let is_empty = contents.series.is_empty() && contents.unreadable.is_empty();
                if is_empty && contents.fault.is_none() && !has_others {
                    contents.unreadable.push("archive without a CT series".to_owned());
                }
                contents
            }
            Err(error) => Self::unreadable(input, &error, stamp),
        }
    }

    /// Names the series of an image file: by the file's name, or by its voxels.
    pub(super) fn image(input: PrivateFolder<'_>, path: &Path, stamp: String) -> Self {
        let named = image_file::series_uid_in_name(path).map(Ok);
        let series = named.unwrap_or_else(|| {
            image_file::read(path, &NAMING).map(|volume| image_file::series_uid(path, &volume))
        });
        match series {
            Ok(series) => {
                let series = vec![ContainedSeries::whole(series, 1, None)];
                Self { stamp, series, points: Vec::new(), unreadable: Vec::new(), fault: None }
            }
            Err(error) => Self::unreadable(input, &error, stamp),
        }
    }

    /// The contents of a source that cannot be read at all.
    fn unreadable(input: PrivateFolder<'_>, error: &dyn OwnError, stamp: String) -> Self {
        let (series, points, found) = (Vec::new(), Vec::new(), Problem::of(input, error));
        if found.class.is_passing() {
            return Self { stamp, series, points, unreadable: Vec::new(), fault: Some(found) };
        }
        Self { stamp, series, points, unreadable: vec![found.cause], fault: None }
    }
}
