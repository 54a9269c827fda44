//! What the README and the docs promise, as far as it can be checked quickly.

use crate::fixture;
use nodulus::stages::Stage;
use nodulus::tables::Table;
use nodulus_test_needs::Need;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown page of the repository, by its path, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let pages = ["*.md", "docs/*.md", "crates/*/*.md"].map(|pattern| root().join(pattern));
    let paths = pages.iter().flat_map(|pattern| glob::glob(pattern.to_str().unwrap()).unwrap());
    paths.map(|path| path.unwrap()).map(|path| (path.clone(), read(&path))).collect()
}

fn read(path: impl AsRef<Path>) -> String {
    fs_err::read_to_string(root().join(path)).unwrap()
}

/// The commands that a page shows: lines of its `sh` blocks that start nodulus, as words without comments.
fn commands(page: &str) -> Vec<Vec<String>> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines: Vec<String> = blocks
        .flat_map(|block| block.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines
        .iter()
        .filter_map(|line| {
            let line = line.split(" # ").next().unwrap_or_default().split("  #").next()?;
            let words =
                line.split_whitespace().map(|word| word.trim_matches(['\'', '"']).to_owned());
            let words: Vec<String> = words.collect();
            let starts = ["nodulus", "target/release/nodulus"].contains(&words.first()?.as_str());
            (starts && words.len() > 1).then(|| words[1..].to_vec())
        })
        .collect()
}

/// The help of a command, and of the command below it that the words name.
fn help(words: &[String], known: &mut BTreeMap<String, String>) -> String {
    let names =
        words.iter().take_while(|word| !word.starts_with('-') && !word.contains(['/', '.']));
    let names: Vec<&str> = names.take(2).map(String::as_str).collect();
    let mut text = known
        .entry(names[0].to_owned())
        .or_insert_with(|| fixture::run_well(&["help", names[0]]))
        .clone();
    if let [first, second] = names[..]
        && text.lines().any(|line| line.trim_start().starts_with(&format!("{second} ")))
    {
        text += &fixture::run_well(&["help", first, second]);
    }
    text
}

#[test]
fn every_command_of_the_docs_exists_with_its_options() {
    let mut known = BTreeMap::new();
    let mut n = 0;
    for (path, page) in pages() {
        for words in commands(&page).into_iter().filter(|words| words[0] != "help") {
            let help = help(&words, &mut known);
            for option in words.iter().filter(|word| word.starts_with("--") && word.len() > 2) {
                let name = option.split('=').next().unwrap();
                assert!(
                    help.contains(name),
                    "{}: `nodulus {}` has no `{name}`",
                    path.display(),
                    words[0]
                );
            }
            for file in words.iter().filter(|word| {
                word.starts_with("pipelines/") || word.starts_with("data-manifests/")
            }) {
                assert!(root().join(file).exists(), "{}: `{file}` does not exist", path.display());
            }
            n += 1;
        }
    }
    assert!(n > 40, "{n} commands");
}

#[test]
fn every_link_of_the_docs_leads_to_a_file() {
    for (path, page) in pages() {
        let targets = page.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = path.with_file_name(file);
            assert!(file.exists(), "{}: `{target}` does not exist", path.display());
            if anchor.is_empty() {
                continue;
            }
            let titles =
                read(&file).to_lowercase().replace([' ', '`', '(', ')', ',', '.', '\''], "-");
            assert!(
                titles.contains(&format!("#-{anchor}")),
                "{}: `{target}` has no such heading",
                path.display()
            );
        }
    }
}

#[test]
fn the_readme_names_every_stage_and_its_tables() {
    let readme = read("README.md");
    for stage in Stage::ALL {
        assert!(readme.contains(&format!("| `{stage}` | ")), "README.md does not name {stage}");
    }
    for table in ["scores", "growth", "drift", "failures"] {
        assert!(Table::ALL.iter().any(|other| other.to_string() == table), "{table}");
    }
}

#[test]
fn the_readmes_two_commands_cover_the_workspace() {
    let cargo: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let workspace = cargo["workspace"].as_table().unwrap();
    let members: Vec<&str> = workspace["default-members"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|v| v.as_str())
        .collect();
    assert_eq!(members, [".", "crates/*"]);
    let readme = read("README.md");
    let version = workspace["package"]["rust-version"].as_str().unwrap();
    assert!(
        readme.contains(&format!("Rust ({version} or later")),
        "README.md and Cargo.toml name different versions"
    );
    for command in ["\ncargo run --release -- run pipelines/demo.toml ", "\ncargo test --release "]
    {
        assert!(readme.contains(command), "README.md lacks `{}`", command.trim());
    }
    let ci = read(".ci/run");
    assert!(ci.contains("\nstep cargo test --release\n"), ".ci/run runs the README's tests");
    assert!(read(".github/workflows/ci.yml").contains("run: .ci/run\n"));
}

#[test]
fn the_readme_lists_what_tests_need() {
    let readme = read("README.md");
    for need in [Need::Peer, Need::R, Need::RealData, Need::Root] {
        assert!(readme.contains(need.variable()), "{need:?}");
        assert!(read(".ci/run").contains(&format!("export {}=1", need.variable())), "{need:?}");
    }
}
