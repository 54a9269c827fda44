//! Errors of the nightly job quote paths and texts by their kind, so that one place redacts them.

use std::path::{Path, PathBuf};

/// Where the errors that the nightly job meets are defined.
const FOLDERS: [&str; 8] = [
    "crates/nodulus-formats/src/dicom",
    "crates/nodulus-formats/src/metaimage",
    "crates/nodulus-formats/src/nifti",
    "crates/nodulus-formats/src/nrrd",
    "crates/nodulus-formats/src/luna_csv",
    "crates/nodulus-formats/src/archive",
    "crates/nodulus-store/src",
    "src/nightly",
];
const FILES: [&str; 2] =
    ["crates/nodulus-formats/src/cohort/error.rs", "crates/nodulus-formats/src/image_file.rs"];

/// Fields of text that hold this program's own words: variants with their fields.
const OWN_WORDS: [(&str, &str); 33] = [
    ("Missing", "0"),
    ("Value", "attribute"),
    ("Value", "expected"),
    ("Value", "field"),
    ("Compressed", "expected"),
    ("Unwritable", "expected"),
    ("TooLarge", "most"),
    ("Columns", "near"),
    ("Damaged", "output"),
    ("Damaged", "key"),
    ("Damaged", "stage"),
    ("NoVersion", "key"),
    ("Locked", "holder"),
    ("Shared", "latest"),
    ("MissingColumns", "missing"),
    ("ColumnTypes", "wanted"),
    // Made of the settings and the model alone, or redacted before.
    ("Other", "was"),
    ("Other", "now"),
    ("DiskFull", "cause"),
    ("WhichWindow", "windows"),
    ("WhichWindow", "example"),
    ("ScoredAt", "found"),
    ("Problem", "0"),
    ("Blank", "0"),
    // The position of a content item, or the number of a region.
    ("WithoutPoint", "part"),
    // Why a report does not tell what it examined: names of attributes, and numbers of series.
    ("Unexamined", "why"),
    // A hash of a path.
    ("LostFile", "0"),
    ("AllOutside", "extent"),
    // Of archives: what they answer is told in own words.
    ("Unreachable", "0"),
    ("Busy", "0"),
    ("Object", "0"),
    ("Refused", "0"),
    // The name of an archive in the settings.
    ("Error", "name"),
];

/// A variant or a type with its message.
struct Message {
    variant: String,
    attribute: String,
    /// Names of its fields with their types; numbers for those of a tuple.
    fields: Vec<(String, String)>,
}

#[test]
fn paths_and_texts_are_quoted_by_their_kind() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = FILES.iter().map(|file| root.join(file)).collect();
    for folder in FOLDERS {
        files.extend(sources(&root.join(folder)));
    }
    let mut n_messages = 0;
    let mut wrong = Vec::new();
    for file in files {
        for message in messages(&fs_err::read_to_string(&file).unwrap()) {
            n_messages += 1;
            for (field, kind) in &message.fields {
                if is_shown(&message, field, kind) {
                    wrong.push(format!("{}: {}, {field}", file.display(), message.variant));
                }
            }
        }
    }
    assert!(n_messages > 100, "{n_messages}");
    assert!(wrong.is_empty(), "these show what comes from data as it is:\n{}", wrong.join("\n"));
}

#[test]
fn a_message_that_shows_a_path_is_found() {
    let shown = |text: &str| {
        let [message] = &messages(text)[..] else { panic!("{text}") };
        message.fields.iter().any(|(field, kind)| is_shown(message, field, kind))
    };
    let path = |attribute: &str| {
        format!(
            "    #[error({attribute})]\n    Bad {{\n        /// A file.\n        path: PathBuf,\n    }},\n"
        )
    };
    assert!(shown(&path("\"`{path}` is bad\"")));
    assert!(shown(&path("\"bad: {}\", path.display()")));
    assert!(!shown(&path("\"{path} is bad\", path = quoted::path(path)")));
    assert!(shown("    #[error(\"{0:?} is bad\")]\n    Bad(String),\n"));
    assert!(!shown("    #[error(\"{}\", quoted::text(.0))]\n    Bad(String),\n"));
    assert!(shown("    #[error(transparent)]\n    Io(#[from] io::Error),\n"));
}

/// Whether a message shows a field that may come from data, without saying of which kind it is.
fn is_shown(message: &Message, field: &str, kind: &str) -> bool {
    let is_foreign = kind.contains("io::Error") && message.attribute.contains("transparent");
    let is_data = kind.contains("PathBuf") || kind.contains("String");
    if !is_data || OWN_WORDS.contains(&(message.variant.as_str(), field)) {
        return is_foreign;
    }
    let is_quoted = message.attribute.contains("quoted::");
    let name = if field == "0" { ".0" } else { field };
    let is_formatted = ["}", ":"].iter().any(|end| {
        message.attribute.contains(&format!("{{{field}{end}"))
            && !message.attribute.contains(&format!("{field} = quoted::"))
    });
    is_formatted
        || message.attribute.contains(&format!("{name}.display()"))
        || !is_quoted && message.attribute.contains(&format!("{name}.join("))
}

fn messages(text: &str) -> Vec<Message> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if !line.starts_with("#[error(") {
            continue;
        }
        let mut attribute = line.to_owned();
        while !attribute.ends_with(")]") {
            let Some(next) = lines.next() else { return found };
            attribute.push_str(next);
        }
        let mut declared = lines.by_ref().skip_while(|line| line.starts_with(['/', '#']));
        let Some(head) = declared.next() else { return found };
        let start = head.rsplit(' ').find(|word| *word != "{").unwrap_or(head);
        let name = head.find(['(', '{']).map_or(start, |at| head[..at].trim());
        let variant = name.rsplit(' ').next().unwrap_or(name).to_owned();
        let mut fields = Vec::new();
        if let Some((_, kinds)) = head.split_once('(') {
            fields.push(("0".to_owned(), kinds.to_owned()));
        } else if head.ends_with('{') {
            for line in lines.by_ref().take_while(|line| !line.starts_with('}')) {
                let declared = line.trim_start_matches("pub ");
                if let Some((name, kind)) = declared.split_once(": ")
                    && !line.starts_with('/')
                {
                    fields.push((name.to_owned(), kind.to_owned()));
                }
            }
        }
        found.push(Message { variant, attribute, fields });
    }
    found
}

/// The sources below a folder, without those of tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let files = crate::nightly_job::files(folder).into_keys();
    let is_source = |path: &PathBuf| {
        let text = path.to_str().unwrap();
        path.extension().is_some_and(|end| end == "rs")
            && !text.contains("/tests")
            && !text.ends_with("_tests.rs")
    };
    files.filter(is_source).collect()
}
