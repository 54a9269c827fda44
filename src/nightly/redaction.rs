//! Names of files and texts of errors for logs and the store: without paths, as folders are named after
//! patients, and without text of files, which may hold patients' names.
//!
//! What a message takes from data is a typed part of it ([`quoted`]). Here these parts are redacted, and errors of other
//! libraries withheld.

use super::identity::FileKey;
use super::settings::ScoreSettings;
use nodulus_faults::quoted::{self, PathNames, WITHHELD};
use nodulus_formats::cohort::relative;
use nodulus_formats::volume::{InvalidGeometry, SlicesError};
use nodulus_formats::{archive, cohort, dicom, image_file, nifti, uid};
use nodulus_store::hash;
use std::any::Any;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Start of a redacted name.
const PREFIX: &str = "file-";

/// Start of the UIDs that the DICOM standard defines.
const STANDARD: &str = "1.2.840.10008.";

/// An error that shows what comes from data through [`quoted`] alone, in its own words and in those of errors within it.
/// Its causes need not: they are told apart by their types.
pub(in crate::nightly) trait OwnError: Error + 'static {}

impl OwnError for io::Error {}
impl OwnError for dicom::Error {}
impl OwnError for image_file::Error {}
impl OwnError for cohort::Error {}
impl OwnError for archive::Error {}
impl OwnError for nodulus_store::Error {}

/// A folder whose files may be named after patients.
#[derive(Clone, Copy, Debug)]
pub(super) struct PrivateFolder<'a> {
    pub(super) path: &'a Path,
    /// The key of the files' redacted names, where results name pseudonyms.
    pub(super) key: Option<&'a FileKey>,
}

impl PrivateFolder<'_> {
    /// Redacted name of a file or folder in it: `file-0123456789abcdef`, from its path below the folder. With a key, nobody
    /// without it can test which path a name is of.
    pub(super) fn name(&self, path: &Path) -> String {
        let below = relative(self.path, path);
        match self.key {
            Some(key) => format!("{PREFIX}{}", key.digits(&below)),
            None => hash::id(PREFIX, [below.as_str()]),
        }
    }

    /// What takes the place of a path in a message: its redacted name, with the number of a frame that follows it.
    fn name_of_frame(&self, path: &Path) -> String {
        let text = path.to_string_lossy();
        match text.rsplit_once(", frame ") {
            Some((file, frame)) if frame.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("{}, frame {frame}", self.name(Path::new(file)))
            }
            _ => self.name(path),
        }
    }

    fn names(&self) -> PathNames {
        let (folder, key) = (self.path.to_owned(), self.key.cloned());
        Rc::new(move |path| PrivateFolder { path: &folder, key: key.as_ref() }.name_of_frame(path))
    }
}

/// Whether an id is the redacted name of a file or folder. That of a series is a UID.
pub(super) fn is_path_name(id: &str) -> bool {
    let digits = id.strip_prefix(PREFIX);
    digits.is_some_and(|digits| {
        digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// An error with its causes, without paths, patient ids and text of files. Files have names by their paths below `folder`.
pub(super) fn cause(folder: PrivateFolder<'_>, error: &dyn OwnError) -> String {
    in_words(folder.names(), error)
}

/// An error of the run as a whole, as [`cause`]. Paths that the settings name are named by their keys, and so are paths
/// in the store and in the folder of outputs, which hold no names of files.
pub(super) fn cause_of_run(settings: &ScoreSettings, error: &dyn OwnError) -> String {
    let places = Places::of(settings);
    in_words(Rc::new(move |path| places.name(path)), error)
}

/// Words that quote values of a scan, redacted.
pub(super) fn words<T>(folder: PrivateFolder<'_>, words: impl FnOnce() -> T) -> T {
    quoted::redacted(folder.names(), words)
}

/// The paths that the settings name.
struct Places {
    /// Places whose files are named after patients, by their keys.
    private: Vec<(&'static str, PathBuf)>,
    /// The key of their redacted names.
    file_key: Option<FileKey>,
    own: Vec<(&'static str, PathBuf)>,
}

impl Places {
    fn of(settings: &ScoreSettings) -> Self {
        let candidates =
            settings.candidates.0.iter().map(|path| ("score.candidates", path.clone()));
        let models = settings.model.0.iter().map(|path| ("score.model", path.clone()));
        let key = settings.deidentify.iter().map(|of| ("score.deidentify.key", of.key.clone()));
        let results =
            [("score.output", settings.output()), ("score.store", settings.store.clone())];
        let figures = settings.prometheus.iter().map(|path| ("score.prometheus", path.clone()));
        let archives = settings.deliver.values().flat_map(|archive| {
            let named = [
                ("password_file", &archive.password_file),
                ("token_file", &archive.token_file),
                ("certificates", &archive.certificates),
            ];
            named.into_iter().filter_map(|(key, path)| Some((key, path.clone()?)))
        });
        let input = ("score.input", settings.input.clone());
        Self {
            private: [input].into_iter().chain(candidates).collect(),
            file_key: settings.file_key.clone(),
            own: results
                .into_iter()
                .chain(models)
                .chain(key)
                .chain(figures)
                .chain(archives)
                .collect(),
        }
    }

    fn name(&self, path: &Path) -> String {
        for (key, place) in self.private.iter().chain(&self.own) {
            if path == place {
                return format!("`{key}`");
            }
        }
        let below = |place| PrivateFolder { path: place, key: self.file_key.as_ref() };
        if let Some((_, place)) = self.private.iter().find(|(_, place)| path.starts_with(place)) {
            return below(place).name_of_frame(path);
        }
        match self.own.iter().find(|(_, place)| path.starts_with(place)) {
            Some((key, place)) => format!("`{}` of `{key}`", relative(place, path)),
            None => below(Path::new("")).name_of_frame(path),
        }
    }
}

/// An error and its causes, redacted.
fn in_words(names: PathNames, error: &dyn OwnError) -> String {
    quoted::redacted(names, || {
        let error: &(dyn Error + 'static) = error;
        let mut texts: Vec<String> = vec![match error.downcast_ref::<io::Error>() {
            Some(error) => quoted::io(error).to_string(),
            None => error.to_string(),
        }];
        for cause in std::iter::successors(error.source(), |cause| (*cause).source()) {
            let text = words_of_cause(cause);
            let is_said = texts
                .last()
                .is_some_and(|last| *last == text || text == WITHHELD && last.contains(WITHHELD));
            if !is_said {
                texts.push(text);
            }
        }
        texts.join(": ")
    })
}

/// What a cause says, if it is known to show what comes from data through [`quoted`] alone.
fn words_of_cause(cause: &(dyn Error + 'static)) -> String {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return quoted::io(error).to_string();
    }
    let is_own = cause.is::<dicom::Error>()
        || cause.is::<Box<dicom::Error>>()
        || cause.is::<nodulus_store::Error>()
        || cause.is::<InvalidGeometry>()
        || cause.is::<SlicesError>()
        || cause.is::<nifti::InvalidOrientation>();
    if is_own { cause.to_string() } else { WITHHELD.to_owned() }
}

/// Cause of a failure by a panic. Its message is not repeated, as it may hold text of a file.
pub(super) fn panic_cause(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let is_overflow = text.is_some_and(|text| text.contains("overflow"));
    let kind = if is_overflow { "overflow" } else { "panic" };
    format!("the program itself failed ({kind}); please report it")
}

/// A text with each UID replaced by `name` of it. Messages quote no other UIDs than those that are recognised here
/// ([`quoted::uid`]).
pub(super) fn with_renamed_uids(text: &str, name: &dyn Fn(&str) -> String) -> String {
    let is_of_uid = |c: char| c.is_ascii_digit() || c == '.';
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_of_uid) {
        let end = rest[start..].find(|c| !is_of_uid(c)).map_or(rest.len(), |n| start + n);
        let number = rest[start..end].trim_end_matches('.');
        renamed.push_str(&rest[..start]);
        // Numbers with a fraction stay.
        let is_long = number.matches('.').count() >= 2 && !number.starts_with(STANDARD);
        let is_uid = is_long && uid::is_uid(number);
        renamed.push_str(&if is_uid { name(number) } else { number.to_owned() });
        rest = &rest[start + number.len()..];
        if number.is_empty() {
            renamed.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    renamed + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nightly::identity::{DeidentifySettings, Identity, UidPolicy};
    use nodulus_formats::metaimage;

    #[test]
    fn uids_are_renamed_and_numbers_stay() {
        let name = |uid: &str| format!("<{uid}>");
        for (text, expected) in [
            ("series 2.25.7 is off by 3.5 mm...", "series <2.25.7> is off by 3.5 mm..."),
            ("`1.3.6.1.`, 1.2.840.10008.1.2", "`<1.3.6.1>.`, 1.2.840.10008.1.2"),
            ("", ""),
            (".", "."),
        ] {
            assert_eq!(with_renamed_uids(text, &name), expected);
        }
    }

    #[test]
    fn errors_hold_neither_paths_nor_patients() {
        let input = PrivateFolder { path: Path::new("/in"), key: None };
        // An odd back quote turned words and names round where they were told apart by back quotes.
        let path = input.path.join("O`Brien^Mary/1.dcm");
        let file = input.name(&path);
        let error = dicom::Error::Mixed {
            attribute: "PatientID",
            file: "/in/O`Brien^Mary/2.dcm, frame 3".into(),
            found: "`P1`".to_owned(),
            first: path.clone(),
            expected: "`P2`".to_owned(),
        };
        let text = cause(input, &error);
        assert!(!["Brien", "P1", "P2"].iter().any(|part| text.contains(part)), "{text}");
        assert!(text.contains(&file) && text.contains(", frame 3"), "{text}");
        let groups = vec![("Doe (J): x".to_owned(), 4), ("y".to_owned(), 4)];
        let error = dicom::Error::SeveralImages { attribute: "ImageComments", groups };
        let text = cause(input, &error);
        assert!(text.contains("differ in ImageComments ((redacted): 4 slices"), "{text}");
        assert!(!text.contains("Doe"), "{text}");
        let error = io::Error::other(format!("cannot read `{}`: no `x`", path.display()));
        assert_eq!(cause(input, &error), "other error (withheld)");
        let source = io::Error::other("DOE.dcm");
        let error = metaimage::Error::Inflate { path: path.clone(), source };
        let expected = format!("{file} is not a valid zlib stream: other error (withheld)");
        assert_eq!(cause(input, &image_file::Error::from(error)), expected);
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        fs_err::write(&key, "0123456789abcdef").unwrap();
        let settings = DeidentifySettings { key, uids: UidPolicy::Keep };
        let key = Identity::new(Some(&settings)).unwrap().file_key();
        let keyed = PrivateFolder { key: key.as_ref(), ..input };
        assert!(is_path_name(&keyed.name(&path)) && keyed.name(&path) != file);
        let missing = nodulus_faults::fs::read(&path).unwrap_err();
        let text = cause(input, &missing);
        assert!(text.starts_with(&format!("cannot read or write {file}: ")), "{text}");
        assert!(text.contains("(os error"), "{text}");
    }
}
