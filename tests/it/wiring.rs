//! Every stage and table is wired and documented, and its schema is committed.

use crate::fixture;
use nodulus::stages::Stage;
use nodulus::tables::{Output, Table};
use std::path::{Path, PathBuf};

fn read(path: &str) -> String {
    fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Every Rust file below a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let pattern = folder.join("**/*.rs");
    glob::glob(pattern.to_str().unwrap()).unwrap().map(Result::unwrap).collect()
}

#[test]
fn no_module_names_a_later_one() {
    let modules: Vec<String> = read("src/lib.rs")
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect();
    assert!(modules.len() >= 6, "{modules:?}");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (n, module) in modules.iter().enumerate() {
        let file = source.join(module).with_extension("rs");
        let files = if file.exists() { vec![file] } else { rust_files(&source.join(module)) };
        for file in files {
            let text = fs_err::read_to_string(&file).unwrap();
            let later = modules[n + 1..].iter().find(|later| {
                text.match_indices(&format!("crate::{later}")).any(|(at, name)| {
                    !text[at + name.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
                })
            });
            assert_eq!(later, None, "{} names a later module of src/lib.rs", file.display());
        }
    }
}

#[test]
fn committed_schemas_are_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    fixture::run_well(&["schema", "--write", folder.path().to_str().unwrap()]);
    let names = |folder: &Path| {
        let mut names: Vec<_> =
            fs_err::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    assert_eq!(names(folder.path()), names(&checked_in));
    for name in names(&checked_in) {
        let [generated, kept] =
            [folder.path(), &checked_in].map(|f| fs_err::read_to_string(f.join(&name)).unwrap());
        assert_eq!(
            generated, kept,
            "run `nodulus schema --write schemas` and read the difference in {name:?}"
        );
    }
}

#[test]
fn the_settings_reference_is_up_to_date() {
    let generated = fixture::run_well(&["schema", "--settings"]);
    assert_eq!(
        generated,
        read("docs/settings.md"),
        "run `nodulus schema --settings > docs/settings.md` and read the difference"
    );
}

#[test]
fn every_column_is_described_and_named_in_snake_case() {
    for table in Table::ALL {
        let schema = table.schema();
        for field in schema.fields() {
            let name = field.name();
            assert!(
                name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
                "{table}.{name}"
            );
            assert!(
                field.metadata().get("description").is_some_and(|text| text.len() > 5),
                "{table}.{name}"
            );
        }
        for column in table.spec().pixel_columns.iter().chain(table.spec().id_columns) {
            assert!(schema.field_with_name(column).is_ok(), "{table} has no column {column}");
        }
    }
}

#[test]
fn every_table_has_a_file_and_is_documented() {
    let architecture = read("ARCHITECTURE.md");
    for table in Table::ALL {
        assert!(read(&format!("src/tables/{table}.rs")).contains("columns! {"), "{table}");
        assert!(
            architecture.contains(&format!("`{table}`")),
            "ARCHITECTURE.md does not name {table}"
        );
    }
}

#[test]
fn every_stage_has_the_same_items_in_the_same_order() {
    let architecture = read("ARCHITECTURE.md");
    for stage in Stage::ALL {
        let text = read(&format!("src/stages/{stage}/mod.rs"));
        let settings = read(&format!("src/stages/{stage}/config.rs"));
        assert!(settings.contains("pub struct Config {"), "{stage} has no settings");
        // Each item is in the stage's file in this order. `transform` may be in a file of its own, and the tests as well.
        let in_order =
            ["pub const SPEC: StageSpec", "pub fn run(", "pub fn transform(", "mod tests {"];
        let positions = in_order.map(|item| text.find(item));
        assert!(positions[0].is_some() && positions[1].is_some(), "{stage} has no SPEC or no run");
        assert!(
            positions[2].is_some()
                || re_exports(&format!("src/stages/{stage}"), &text, "transform"),
            "{stage} has no `transform`"
        );
        assert!(positions[3].is_some() || text.contains("mod tests;"), "{stage} has no tests");
        assert!(
            positions.iter().flatten().is_sorted(),
            "{stage}: items are not in the order {in_order:?}"
        );
        assert!(
            architecture.contains(&format!("`{stage}`")),
            "ARCHITECTURE.md does not name {stage}"
        );
    }
}

/// Whether the text of a folder's `mod.rs` makes a function public that a module of the folder defines.
fn re_exports(folder: &str, text: &str, function: &str) -> bool {
    text.lines().filter_map(|line| line.strip_prefix("pub use ")).any(|line| {
        let mut names = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let Some((module, _)) = line.split_once("::") else { return false };
        names.any(|name| name == function)
            && read(&format!("{folder}/{module}.rs")).contains(&format!("pub fn {function}("))
    })
}

#[test]
fn a_finished_run_has_every_output_with_its_manifest() {
    let store = nodulus_store::Store::open(&fixture::finished().join("store")).unwrap();
    for output in Output::all() {
        let version = store.current(output).unwrap().unwrap_or_else(|| panic!("no {output}"));
        assert_eq!(version.manifest.output, output.name());
        assert!(!version.files().is_empty(), "{output} has no file");
        assert!(version.files().iter().all(|file| file.is_file()), "{output}");
        let rows: u64 = version.manifest.shards.iter().flat_map(|s| &s.parts).map(|p| p.rows).sum();
        assert_eq!(rows, version.manifest.rows, "{output}");
    }
}
