//! Manifests are read, written, and compared with folders.

use super::*;
use fs_err as fs;
use std::path::Path;

const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn manifest(rest: &str) -> String {
    format!(
        "name = \"n\"\ntitle = \"t\"\nsource = \"s\"\nlicence = \"l\"\nhow_to_get = \"h\"\n{rest}"
    )
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn read_text(text: &str) -> Result<Manifest, Error> {
    let root = folder(&[("m.toml", text)]);
    read(&root.path().join("m.toml"))
}

fn problems(text: &str, root: &Path) -> Vec<ManifestProblem> {
    let report = verify(&read_text(&manifest(text)).unwrap(), root, &|_, _| {}).unwrap();
    assert_eq!(report.is_well(), report.problems.is_empty());
    report.problems
}

#[test]
fn what_is_wrong_is_shown_with_its_line_and_an_example() {
    for (text, expected) in [
        (manifest("size = 3"), ":6:1: unknown key `size`; the file has `name`, "),
        (manifest("licences = 3"), ":6:1: unknown key `licences`: did you mean `licence`?"),
        (
            manifest("[[files]]\npath = \"a\"\nsha265 = \"x\""),
            "`files.0.sha265`: did you mean `sha256`?",
        ),
        (
            manifest("[[expect]]\npattern = \"a\"\ncount = \"x\""),
            ":8:9: `expect.0.count` is \"x\", expected a whole number from 0 to 9223372036854775807, as in \
             `count = 888`",
        ),
        ("name = \"n\"".to_owned(), "`title` is missing, expected text in quotes"),
    ] {
        let message = read_text(&text).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn names_stay_below_the_root() {
    for name in ["/etc/passwd", "../a", "a/../../b", ""] {
        let file = manifest(&format!("[[files]]\npath = \"{name}\""));
        let message = read_text(&file).unwrap_err().to_string();
        assert!(message.contains("expected a path below the root"), "{message}");
        let pattern = manifest(&format!("[[expect]]\npattern = \"{name}\"\ncount = 1"));
        let message = read_text(&pattern).unwrap_err().to_string();
        assert!(message.contains("expected a pattern of"), "{message}");
    }
    let pattern = manifest("[[expect]]\npattern = \"a[\"\ncount = 1");
    assert!(read_text(&pattern).unwrap_err().to_string().contains("`expect.0.pattern` is \"a[\""));
    let sum = manifest("[[files]]\npath = \"a\"\nsha256 = \"ABC\"");
    let message = read_text(&sum).unwrap_err().to_string();
    assert!(message.contains("`files.0.sha256` is \"ABC\", expected 64 lower-case"), "{message}");
}

#[test]
fn each_problem_is_found_and_named() {
    let root = folder(&[("a/empty", ""), ("a/three", "abc"), ("b[1]/x.raw", ""), ("b/x.raw", "")]);
    let files = format!(
        "[[files]]\npath = \"a/empty\"\nsize = 0\nsha256 = \"{EMPTY_SHA256}\"\n\
         [[files]]\npath = \"a/none\"\n\
         [[files]]\npath = \"a\"\n\
         [[files]]\npath = \"a/three\"\nsize = 4\n\
         [[files]]\npath = \"a/three\"\nsize = 3\nsha256 = \"{EMPTY_SHA256}\"\n\
         [[expect]]\npattern = \"*/*.raw\"\ncount = 2\n\
         [[expect]]\npattern = \"**/*.raw\"\ncount = 2\n\
         [[expect]]\npattern = \"*.raw\"\ncount = 1\n"
    );
    // SHA-256 of "abc": FIPS 180-4.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let found = problems(&files, root.path());
    let expected = [
        ManifestProblem::Missing { path: "a/none".to_owned() },
        ManifestProblem::Missing { path: "a".to_owned() },
        ManifestProblem::WrongSize { path: "a/three".to_owned(), found: 3, expected: 4 },
        ManifestProblem::WrongSha256 {
            path: "a/three".to_owned(),
            found: abc.to_owned(),
            expected: EMPTY_SHA256.to_owned(),
        },
        ManifestProblem::WrongCount { pattern: "*.raw".to_owned(), found: 0, expected: 1 },
    ];
    assert_eq!(found, expected);
    assert_eq!(found[2].to_string(), "wrong size: a/three has 3 bytes, expected 4");
}

#[test]
fn pattern_characters_in_the_root_are_literal() {
    let root = folder(&[("b[1]/x.raw", ""), ("b1/y.raw", "")]);
    let expect = "[[expect]]\npattern = \"x.raw\"\ncount = 1\n\
                  [[expect]]\npattern = \"y.raw\"\ncount = 0\n";
    assert_eq!(problems(expect, &root.path().join("b[1]")), []);
}

#[test]
fn a_folder_passes_against_its_own_manifest() {
    let root = folder(&[("b/two", "22"), ("a.txt", ""), (".hidden", "x")]);
    let made = of_folder(root.path()).unwrap();
    let paths: Vec<&str> = made.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["a.txt", "b/two"]);
    assert_eq!(made.files[0].sha256.as_deref(), Some(EMPTY_SHA256));
    let path = root.path().join(".manifest.toml");
    write(&path, &made).unwrap();
    assert_eq!(read(&path).unwrap(), made);

    let seen = std::sync::Mutex::new(Vec::new());
    let progress = |done, total| seen.lock().unwrap().push((done, total));
    let report = verify(&made, root.path(), &progress).unwrap();
    assert_eq!(report.to_string(), ": all 2 checks passed");
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    assert_eq!(seen, [(1, 2), (2, 2)]);

    fs::write(root.path().join("b/two"), "33").unwrap();
    let report = verify(&made, root.path(), &|_, _| {}).unwrap();
    assert!(matches!(report.problems[..], [ManifestProblem::WrongSha256 { .. }]));
    assert!(report.to_string().ends_with("1 of 2 checks failed"));
}

#[test]
fn a_missing_root_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let missing = root.path().join("none");
    let nothing = Manifest::default();
    assert!(matches!(verify(&nothing, &missing, &|_, _| {}), Err(Error::NotAFolder(_))));
    assert!(matches!(of_folder(&missing), Err(Error::NotAFolder(_))));
}

#[test]
fn the_manifests_of_this_project_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-manifests");
    for name in ["lidc-idri", "luna16", "phantom"] {
        let manifest = read(&folder.join(format!("{name}.toml"))).unwrap();
        assert_eq!(manifest.name, name);
        assert!(!manifest.files.is_empty() || !manifest.expect.is_empty(), "{name}");
        for text in [&manifest.title, &manifest.source, &manifest.licence, &manifest.how_to_get] {
            assert!(!text.is_empty(), "{name}");
        }
    }
}
