//! Pairs the files of a patient by glob patterns with `{patient}` and `{scan}`.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Stands for the patient in a pattern.
const PATIENT: &str = "{patient}";
/// Stands for a scan of the patient in a pattern.
const SCAN: &str = "{scan}";

/// A path relative to a folder, with `/`. In it, `{patient}` and `{scan}` stand for one or more characters of a name,
/// `*`, `?`, `[a-z]` and `[!a-z]` mean what they mean in a shell, and `**` stands for any number of folders. A
/// placeholder that occurs twice stands for the same text.
#[derive(Clone, Debug)]
pub struct PathPattern {
    text: String,
    names: Vec<PatternPart>,
}

/// The part of a pattern between two `/`.
#[derive(Clone, Debug)]
enum PatternPart {
    /// `**`.
    AnyFolders,
    One(Vec<Piece>),
}

#[derive(Clone, Debug)]
enum Piece {
    Text(glob::Pattern),
    Patient,
    Scan,
}

/// The text that the placeholders of a pattern stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PatientKey {
    /// `{patient}`.
    pub patient: String,
    /// `{scan}`, if the pattern has it.
    pub scan: Option<String>,
}

/// A pattern is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It lacks `{patient}`, or leads outside the cohort's folder.
    #[error("pattern `{0}` needs `{{patient}}` and must stay below the cohort's root")]
    Path(String),
    /// It is not a glob pattern.
    #[error("pattern `{pattern}` is not a glob pattern: {problem}")]
    Glob {
        /// The pattern.
        pattern: String,
        /// The cause.
        problem: &'static str,
    },
    /// Only one of two patterns that belong together has `{scan}`.
    #[error("patterns `{0}` and `{1}` must both have `{{scan}}`, or neither")]
    Scan(String, String),
}

/// The placeholders that are bound so far.
#[derive(Clone, Copy, Default)]
struct Placeholders<'a> {
    patient: Option<&'a str>,
    scan: Option<&'a str>,
}

impl PathPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// Fails if the pattern lacks `{patient}`, leads outside its folder, or is not a glob pattern.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let names: Vec<&str> = text.split('/').collect();
        if !text.contains(PATIENT) || names.iter().any(|name| matches!(*name, "" | "." | "..")) {
            return Err(Error::Path(text.to_owned()));
        }
        let names = names.into_iter().map(PatternPart::parse).collect::<Result<_, _>>();
        let names =
            names.map_err(|error| Error::Glob { pattern: text.to_owned(), problem: error.msg })?;
        Ok(Self { text: text.to_owned(), names })
    }

    /// The text of the pattern.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the pattern has `{scan}`.
    pub fn has_scan(&self) -> bool {
        self.text.contains(SCAN)
    }

    /// Every way in which the pattern matches a path; empty where it does not match.
    pub fn keys(&self, path: &str) -> BTreeSet<PatientKey> {
        let parts: Vec<&str> = path.split('/').collect();
        let mut found = BTreeSet::new();
        fit_path(&self.names, &parts, Placeholders::default(), &mut found);
        found
    }
}

impl PatternPart {
    fn parse(name: &str) -> Result<Self, glob::PatternError> {
        if name == "**" {
            return Ok(Self::AnyFolders);
        }
        let mut pieces = Vec::new();
        let mut rest = name;
        while !rest.is_empty() {
            let next = [(PATIENT, Piece::Patient), (SCAN, Piece::Scan)]
                .into_iter()
                .filter_map(|(token, piece)| Some((rest.find(token)?, token.len(), piece)))
                .min_by_key(|(at, _, _)| *at);
            let end = next.as_ref().map_or(rest.len(), |(at, _, _)| *at);
            if end > 0 {
                pieces.push(Piece::Text(glob::Pattern::new(&rest[..end])?));
            }
            let Some((at, length, piece)) = next else { break };
            pieces.push(piece);
            rest = &rest[at + length..];
        }
        Ok(Self::One(pieces))
    }
}

fn fit_path<'a>(
    names: &[PatternPart],
    parts: &[&'a str],
    bound: Placeholders<'a>,
    found: &mut BTreeSet<PatientKey>,
) {
    match (names.split_first(), parts.split_first()) {
        (None, None) => {
            let scan = bound.scan.map(str::to_owned);
            found.extend(bound.patient.map(|p| PatientKey { patient: p.to_owned(), scan }));
        }
        (Some((PatternPart::AnyFolders, rest)), _) => {
            for n in 0..=parts.len() {
                fit_path(rest, &parts[n..], bound, found);
            }
        }
        (Some((PatternPart::One(pieces), names)), Some((part, parts))) => {
            fit_name(pieces, part, bound, &mut |bound| fit_path(names, parts, bound, found));
        }
        (None, Some(_)) | (Some((PatternPart::One(_), _)), None) => {}
    }
}

fn fit_name<'a>(
    pieces: &[Piece],
    text: &'a str,
    bound: Placeholders<'a>,
    then: &mut dyn FnMut(Placeholders<'a>),
) {
    let Some((piece, rest)) = pieces.split_first() else {
        if text.is_empty() {
            then(bound);
        }
        return;
    };
    let known = match piece {
        Piece::Text(_) => None,
        Piece::Patient => bound.patient,
        Piece::Scan => bound.scan,
    };
    if let Some(known) = known {
        if let Some(after) = text.strip_prefix(known) {
            fit_name(rest, after, bound, then);
        }
        return;
    }
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    // The last piece takes all the remaining text.
    for end in ends.filter(|end| !rest.is_empty() || *end == text.len()) {
        let (taken, after) = text.split_at(end);
        let bound = match piece {
            Piece::Text(pattern) if pattern.matches(taken) => bound,
            Piece::Patient if end > 0 => Placeholders { patient: Some(taken), ..bound },
            Piece::Scan if end > 0 => Placeholders { scan: Some(taken), ..bound },
            _ => continue,
        };
        fit_name(rest, after, bound, then);
    }
}

/// The paths that match the patterns of a cohort.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairing {
    /// Images and masks of each patient, or of each of their scans.
    pub paired: BTreeMap<PatientKey, PairedFiles>,
    /// Paths that match in several ways, each with an explanation.
    pub ambiguous: BTreeMap<String, String>,
}

/// The files of a patient or scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PairedFiles {
    /// Paths that match the pattern of the image.
    pub images: BTreeSet<String>,
    /// Paths that match the pattern of each reader's masks.
    pub masks: Vec<BTreeSet<String>>,
}

/// Pairs paths by the pattern of the image and those of the masks. A mask is always a file.
///
/// METHOD: a path that matches the pattern of a mask is not an image, so that `{patient}_*.nii` and
/// `{patient}_mask.nii` can be used together. A path that matches in two ways (two patients, or two readers) is used
/// for neither.
pub(super) fn pair(
    files: &[String],
    folders: &[String],
    image: &PathPattern,
    masks: &[PathPattern],
) -> Pairing {
    let mut pairs = Pairing::default();
    let mut is_mask = BTreeSet::new();
    let unpaired =
        || PairedFiles { images: BTreeSet::new(), masks: vec![BTreeSet::new(); masks.len()] };
    for file in files {
        let fits: Vec<(usize, PatientKey)> = (0..)
            .zip(masks)
            .flat_map(|(reader, mask)| mask.keys(file).into_iter().map(move |key| (reader, key)))
            .collect();
        match &fits[..] {
            [] => continue,
            [(reader, key)] => {
                let paired = pairs.paired.entry(key.clone()).or_insert_with(unpaired);
                paired.masks[*reader].insert(file.clone());
            }
            _ => {
                let ways = fits.iter().map(|(n, key)| (masks[*n].text(), key));
                pairs.ambiguous.insert(file.clone(), several_ways(ways));
            }
        }
        is_mask.insert(file);
    }
    for path in files.iter().chain(folders).filter(|path| !is_mask.contains(path)) {
        let keys = image.keys(path);
        match keys.len() {
            0 => {}
            1 => {
                for key in keys {
                    let paired = pairs.paired.entry(key).or_insert_with(unpaired);
                    paired.images.insert(path.clone());
                }
            }
            _ => {
                let ways = keys.iter().map(|key| (image.text(), key));
                pairs.ambiguous.insert(path.clone(), several_ways(ways));
            }
        }
    }
    pairs
}

fn several_ways<'a>(ways: impl Iterator<Item = (&'a str, &'a PatientKey)>) -> String {
    let ways: Vec<String> = ways
        .map(|(pattern, PatientKey { patient, scan })| match scan {
            None => format!("`{pattern}` for patient `{patient}`"),
            Some(scan) => format!("`{pattern}` for patient `{patient}`, scan `{scan}`"),
        })
        .collect();
    let shown = ways.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(" and ");
    format!("fits in {} ways: {shown}; expected one", ways.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(pattern: &str, path: &str) -> Vec<(String, Option<String>)> {
        let keys = PathPattern::parse(pattern).unwrap().keys(path);
        keys.into_iter().map(|key| (key.patient, key.scan)).collect()
    }

    fn patients(pattern: &str, path: &str) -> Vec<String> {
        keys(pattern, path).into_iter().map(|(patient, _)| patient).collect()
    }

    #[test]
    fn placeholders_stand_for_the_text_between() {
        for (pattern, path, expected) in [
            ("{patient}/ct", "p1/ct", &["p1"][..]),
            ("{patient}/ct", "p1/ct/x", &[]),
            ("{patient}/ct", "a/p1/ct", &[]),
            ("masks/{patient}_r?.nii.gz", "masks/p_1_r2.nii.gz", &["p_1"]),
            ("masks/{patient}_r?.nii.gz", "masks/_r2.nii.gz", &[]),
            ("{patient}/**/CT*", "p1/CT", &["p1"]),
            ("{patient}/**/CT*", "p1/a/b/CT_x", &["p1"]),
            ("**/{patient}.mh[ad]", "a/b/p1.mhd", &["p1"]),
            ("**/{patient}.mh[ad]", "a/b/p1.mhx", &[]),
            ("**/{patient}.mh[!d]", "p1.mhd", &[]),
            ("{patient}/**", "p1/a/b", &["p1"]),
            ("{patient}/{patient}_ct.nii", "p1/p1_ct.nii", &["p1"]),
            ("{patient}/{patient}_ct.nii", "p1/p2_ct.nii", &[]),
            ("a*{patient}", "abc", &["bc", "c"]),
            ("é{patient}ü.nii", "éßü.nii", &["ß"]),
        ] {
            assert_eq!(patients(pattern, path), expected, "{pattern} on {path}");
        }
        let two = keys("{patient}/{scan}/ct", "p1/2020/ct");
        assert_eq!(two, [("p1".to_owned(), Some("2020".to_owned()))]);
    }

    #[test]
    fn invalid_patterns_are_refused() {
        for pattern in ["../{patient}", "/{patient}", "patient", "{patient}//a", "{patient}/./b"] {
            assert_eq!(PathPattern::parse(pattern).unwrap_err(), Error::Path(pattern.to_owned()));
        }
        let error = PathPattern::parse("{patient}/a[b").unwrap_err().to_string();
        assert!(error.starts_with("pattern `{patient}/a[b` is not a glob pattern: "), "{error}");
    }

    fn paired(files: &[&str], folders: &[&str], image: &str, masks: &[&str]) -> Pairing {
        let owned = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        let masks: Vec<_> = masks.iter().map(|mask| PathPattern::parse(mask).unwrap()).collect();
        pair(&owned(files), &owned(folders), &PathPattern::parse(image).unwrap(), &masks)
    }

    #[test]
    fn files_go_to_their_patient_and_reader() {
        let files = ["p1_ct.nii", "p1_a.nii", "p1_b.nii", "p2_b.nii", "x.txt"];
        let found = paired(&files, &[], "{patient}_*.nii", &["{patient}_a.nii", "{patient}_b.nii"]);
        assert!(found.ambiguous.is_empty(), "{:?}", found.ambiguous);
        let of = |patient: &str| {
            found.paired[&PatientKey { patient: patient.to_owned(), scan: None }].clone()
        };
        let set = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(of("p1").images, set(&["p1_ct.nii"]));
        assert_eq!(of("p1").masks, [set(&["p1_a.nii"]), set(&["p1_b.nii"])]);
        assert_eq!(
            (of("p2").images, of("p2").masks),
            (set(&[]), vec![set(&[]), set(&["p2_b.nii"])])
        );
    }

    #[test]
    fn a_path_that_matches_in_two_ways_is_used_for_neither() {
        let found = paired(&["p10.nii"], &[], "{patient}/ct", &["{patient}*.nii"]);
        assert!(found.paired.is_empty());
        assert_eq!(
            found.ambiguous["p10.nii"],
            "fits in 3 ways: `{patient}*.nii` for patient `p` and `{patient}*.nii` for patient `p1` \
             and `{patient}*.nii` for patient `p10`; expected one"
        );
        let found = paired(&["p.nii"], &[], "{patient}/ct", &["{patient}.nii", "{patient}.n*"]);
        assert!(found.ambiguous["p.nii"].starts_with("fits in 2 ways"));
    }

    proptest! {
        #[test]
        fn a_filled_pattern_matches_its_own_values(
            patient in "[a-z0-9]{1,6}", scan in "[a-z0-9]{1,6}", deep in prop::collection::vec("[a-z]{1,3}", 0..3),
        ) {
            let path = [&[patient.clone()][..], &deep, &[format!("{patient}-{scan}.nii")]].concat().join("/");
            let found = keys("{patient}/**/{patient}-{scan}.nii", &path);
            prop_assert_eq!(found, [(patient, Some(scan))]);
        }
    }
}
