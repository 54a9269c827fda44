//! `SECURITY.md` lists every `unsafe` block of our own code, and there is no other.

use std::collections::BTreeMap;
use std::path::Path;

/// The `unsafe` blocks of each file by its path; functions, impls and traits that are unsafe count as well.
fn found() -> BTreeMap<String, usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders =
        ["src", "crates", "tests", "benches", "examples", "fuzz/src", "fuzz/fuzz_targets"];
    let patterns = folders.map(|folder| root.join(folder).join("**/*.rs"));
    let files = patterns.iter().flat_map(|pattern| glob::glob(pattern.to_str().unwrap()).unwrap());
    let files = files.map(Result::unwrap).chain([root.join("build.rs")]);
    let count = |text: &str| -> usize {
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
        words.filter(|word| *word == KEYWORD).count()
    };
    let counts = files.map(|file| {
        let name = file.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        (name, count(&fs_err::read_to_string(&file).unwrap()))
    });
    let counts: BTreeMap<String, usize> = counts.collect();
    assert!(counts.len() > 500, "{} files", counts.len());
    counts.into_iter().filter(|(_, n)| *n > 0).collect()
}

/// The word, which this file itself must not have.
const KEYWORD: &str = concat!("un", "safe");

#[test]
fn security_lists_every_block() {
    let page = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md"));
    let page = page.unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with("What it is built from"));
    let mut listed = BTreeMap::new();
    for line in section.expect("a section on what it is built from").lines() {
        let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`'));
        if let Some(name) =
            cells.nth(1).filter(|cell| Path::new(cell).extension().is_some_and(|end| end == "rs"))
        {
            *listed.entry(name.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(found(), listed, "{KEYWORD} blocks of the code, and the rows of SECURITY.md");
}
