//! What a folder, an archive or an image file of the input holds.

use super::told;
use nodulus_formats::cohort::CaseFiles;
use nodulus_formats::{dicom, image_file};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

/// What a place held when it was last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Of all its files.
    pub(super) stamp: String,
    /// Its CT series.
    pub(super) series: Vec<Held>,
    /// Which of its files may hold points, as indices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) points: Vec<usize>,
    /// What of it cannot be read, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) unreadable: Vec<String>,
}

/// A CT series of a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) series_instance_uid: String,
    /// Its files in this place.
    pub(super) n_files: usize,
    /// Instances that it is to have, where that is announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) announced: Option<usize>,
    /// Which files of a folder with other series are its, as indices; none where every file may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<usize>,
}

impl Held {
    fn whole(series_instance_uid: String, n_files: usize, announced: Option<usize>) -> Self {
        Self { series_instance_uid, n_files, announced, files: Vec::new() }
    }

    /// Its own among what is of each file of its folder.
    pub(super) fn own<'a, T>(&self, of_files: &'a [T]) -> Vec<&'a T> {
        if self.files.is_empty() {
            return of_files.iter().collect();
        }
        self.files.iter().filter_map(|n| of_files.get(*n)).collect()
    }
}

impl Place {
    /// Reads what the files of a folder are.
    pub(super) fn folder(input: &Path, files: &[PathBuf], stamp: String) -> Self {
        let mut held: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let (mut unreadable, mut points) = (Vec::new(), Vec::new());
        for (n, uid) in dicom::series_of_each(files).into_iter().enumerate() {
            match uid {
                Ok(Some(uid)) => held.entry(uid).or_default().push(n),
                Ok(None) if dicom::may_hold_points(&files[n]) => points.push(n),
                Ok(None) => {}
                Err(error) => unreadable.push(told::cause(input, &error)),
            }
        }
        let is_alone = held.len() == 1;
        let series = held.into_iter().map(|(series, own)| {
            let announced = own.first().and_then(|n| dicom::announced_instances(&files[*n]));
            let held = Held::whole(series, own.len(), announced);
            if is_alone { held } else { Held { files: own, ..held } }
        });
        Self { stamp, series: series.collect(), points, unreadable }
    }

    /// Reads which series an archive holds.
    pub(super) fn archive(input: &Path, path: &Path, stamp: String) -> Self {
        match CaseFiles::at(path) {
            Ok(files) => {
                let mut place = Self::folder(input, &files.dicom, stamp);
                // Its files are unpacked again where they are read.
                place.series.iter_mut().for_each(|held| held.files.clear());
                place.points.clear();
                if place.series.is_empty() && place.unreadable.is_empty() {
                    place.unreadable.push("archive without a CT series".to_owned());
                }
                place
            }
            Err(error) => Self::unreadable(input, &error, stamp),
        }
    }

    /// Finds the series of an image file: its name, or made from its voxels.
    pub(super) fn image(input: &Path, path: &Path, stamp: String) -> Self {
        let named = image_file::series_uid_in_name(path).map(Ok);
        let series = named.unwrap_or_else(|| {
            image_file::read(path).map(|volume| image_file::series_uid(path, &volume))
        });
        match series {
            Ok(series) => {
                let series = vec![Held::whole(series, 1, None)];
                Self { stamp, series, points: Vec::new(), unreadable: Vec::new() }
            }
            Err(error) => Self::unreadable(input, &error, stamp),
        }
    }

    /// A place of which nothing can be read.
    pub(super) fn unreadable(input: &Path, error: &(dyn Error + 'static), stamp: String) -> Self {
        let unreadable = vec![told::cause(input, error)];
        Self { stamp, series: Vec::new(), points: Vec::new(), unreadable }
    }
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
