//! Help, completions, messages and exit statuses of the commands.

use crate::fixture;

#[test]
fn help_names_every_command() {
    insta::assert_snapshot!(fixture::run_well(&["help"]));
}

#[test]
fn help_of_run() {
    insta::assert_snapshot!(fixture::run_well(&["help", "run"]));
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = fixture::run_well(&["completions", shell]);
        assert!(script.contains("lineage") && script.contains("max-memory"), "{shell}");
    }
}

/// As in `nodulus schema --json | head`.
#[test]
fn a_reader_that_stops_is_no_error() {
    for arguments in [&["schema"][..], &["schema", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = fixture::nodulus(arguments).stdout(writer).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.as_str()), (Some(0), ""));
    }
}

#[test]
fn usage_errors_end_with_status_2() {
    for (arguments, expected) in [
        (&["run"][..], "<PIPELINE>"),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (
            &["show", "nodule", "--store", "x"],
            "there is no table `nodule`: did you mean `nodules`?",
        ),
        (
            &["show", "frobnicate", "--store", "x"],
            "there is no table `frobnicate`; there are: scans, marks, nodules",
        ),
        (
            &["lineage", "sumary", "--store", "x"],
            "there is no table `sumary`: did you mean `summary`?",
        ),
        (&["schema", "growht"], "there is no table `growht`: did you mean `growth`?"),
        (
            &["run", "x.toml", "--force", "frobnicate"],
            "there is no stage `frobnicate`; there are: ingest, merge",
        ),
        (&["run", "x.toml", "--force", "evalute"], "no stage `evalute`: did you mean `evaluate`?"),
        (&["export", "roi", "--store", "x"], "a similar subcommand exists: 'rois'"),
        (&["run", "x.toml", "--max-memory", "4GB"], "expected a size as in 8GiB or 900MiB"),
        (&["run", "x.toml", "--threads", "0"], "expected a whole number from 1 to 65535"),
        (&["run", "x.toml", "--threads", "99999999999999999999"], "expected a whole number from 1"),
        (&["show", "scans", "--store", "x", "--rows", "ten"], "expected a whole number from 0 to"),
        (&["phantom", "x", "--size", "7"], "expected a whole number from 64 to 512"),
        (
            &["score", "x.toml", "--max-minutes", "x"],
            "expected minutes from 0 to 1000000, as in 360",
        ),
        (
            &[
                "candidates",
                "--from",
                "monai",
                "x",
                "--input",
                "x",
                "--out",
                "x",
                "--min-probability",
                "2",
            ],
            "expected a number from 0 to 1, as in 0.5",
        ),
        (
            &["score", "statsu", "x.toml"],
            "there is no subcommand `statsu` of `nodulus score`: did you mean `status`?",
        ),
        (
            &["score", "pipelines/demo.toml"],
            "this is a pipeline file: use `nodulus run pipelines/demo.toml`",
        ),
        (
            &["run", "pipelines/score.toml"],
            "this is a nightly file: use `nodulus score pipelines/score.toml`",
        ),
        (
            &["run", "pipelines/table1.toml"],
            "this is an experiment file: use `nodulus experiment pipelines/table1.toml`",
        ),
    ] {
        let (error, status) = fixture::run_badly(arguments);
        assert_eq!(status, Some(2), "{error}");
        assert!(error.contains(expected), "{error}");
        assert_eq!(error.matches("error: ").count(), 1, "{error}");
    }
}

#[test]
fn show_filters_by_id_and_refuses_unknown_columns() {
    let store = fixture::finished().join("store");
    let store = store.to_str().unwrap();
    let rows = fixture::run_well(&[
        "show",
        "nodules",
        "--store",
        store,
        "--json",
        "--columns",
        "nodule_id,patient_id",
        "--rows",
        "1000",
    ]);
    let first: serde_json::Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    let id = first["nodule_id"].as_str().unwrap();
    let one = fixture::run_well(&[
        "show",
        "nodules",
        "--store",
        store,
        "--json",
        "--where",
        &format!("nodule_id={id}"),
    ]);
    assert_eq!(one.lines().count(), 1);
    assert!(rows.lines().count() > 1);
    let (error, status) =
        fixture::run_badly(&["show", "nodules", "--store", store, "--where", "nodul=1"]);
    assert_eq!(status, Some(2));
    assert!(
        error.contains("`nodules`: there is no column `nodul`; there are: nodule_id"),
        "{error}"
    );
    let (error, _) =
        fixture::run_badly(&["show", "nodules", "--store", store, "--columns", "n_mark"]);
    assert!(error.contains("no column `n_mark`: did you mean `n_marks`?"), "{error}");
    let (error, status) =
        fixture::run_badly(&["show", "nodules", "--store", store, "--where", "n_marks=many"]);
    assert_eq!(status, Some(2));
    assert!(
        error.contains("`n_marks` holds whole numbers, expected one as in `--where n_marks=3`"),
        "{error}"
    );
}

#[test]
fn show_says_that_no_row_matches() {
    let store = fixture::finished().join("store");
    let store = store.to_str().unwrap();
    let arguments = ["show", "nodules", "--store", store, "--where", "n_marks=99", "--json"];
    let output = fixture::run(&arguments);
    assert!(output.status.success());
    assert_eq!(output.stdout, b"");
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error, "no row of `nodules` has `n_marks=99`\n");
}

#[test]
fn sql_answers_in_every_format_and_suggests_names() {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    let store = fixture::finished().join("store");
    let store = store.to_str().unwrap();
    let query =
        "SELECT patient_id, count(*) AS n FROM nodules GROUP BY patient_id ORDER BY patient_id";
    let ask =
        |format: &str| fixture::run_well(&["sql", query, "--store", store, "--format", format]);
    let json = ask("json");
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert!(first["n"].as_u64().unwrap() > 0, "{first}");
    let csv = ask("csv");
    assert_eq!(csv.lines().next(), Some("patient_id,n"));
    assert_eq!(csv.lines().count(), json.lines().count() + 1);
    assert!(ask("table").starts_with("patient_id"));

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rois.parquet");
    let query = "SELECT roi_id, hu FROM rois LIMIT 3";
    let mut arguments = vec!["sql", query, "--store", store, "--format", "parquet"];
    let (error, status) = fixture::run_badly(&arguments);
    assert_eq!(status, Some(2));
    assert!(error.contains("`--format parquet` needs `--out FILE`"), "{error}");
    arguments.extend(["--out", out.to_str().unwrap()]);
    assert_eq!(fixture::run_well(&arguments), "");
    let file = SerializedFileReader::try_from(out.as_path()).unwrap();
    assert_eq!(file.metadata().file_metadata().num_rows(), 3);
    let inside = fixture::finished().join("store/rois/x.csv");
    let (error, status) =
        fixture::run_badly(&["sql", query, "--store", store, "--out", inside.to_str().unwrap()]);
    assert_eq!(status, Some(2));
    assert!(error.contains("x.csv` is in the store, expected a file elsewhere"), "{error}");

    let badly = |query: &str| {
        let (error, status) = fixture::run_badly(&["sql", query, "--store", store]);
        assert_eq!(status, Some(2), "{error}");
        let is_refused = error.contains("DuckDB");
        assert_eq!(error.lines().count(), if is_refused { 2 } else { 1 }, "{error}");
        error
    };
    let error = badly("SELECT * FROM nodule");
    assert!(error.contains("there is no table `nodule`: did you mean `nodules`?"), "{error}");
    let error = badly("SELECT * FROM frobnicate");
    assert!(
        error.contains("there is no table `frobnicate`; there are: scans, marks, nodules"),
        "{error}"
    );
    for query in ["SELECT nodul FROM nodules", "SELECT n_marks FROM nodules WHERE nodul = '1'"] {
        let error = badly(query);
        assert!(
            error.contains("there is no column `nodul`; `nodules` has: nodule_id, "),
            "{error}"
        );
    }
    let error = badly("SELECT n_mark FROM nodules");
    assert!(error.contains("there is no column `n_mark`: did you mean `n_marks`?"), "{error}");
    let (error, status) = fixture::run_badly(&["sql", "SELECT * FROM growth", "--store", store]);
    assert_eq!(status, Some(1));
    assert!(error.contains("`growth` is not in store"), "{error}");
    badly("SELEC 1");
    for (query, expected) in [
        ("SELECT avgg(n_marks) FROM nodules", "there is no function `avgg`: did you mean `avg`?"),
        ("DROP TABLE nodules", "`DROP TABLE nodules` is no question: the tables can only be read"),
        ("SELECT n_marks // 2 FROM nodules", "`n_marks // 2` is not answered here: of operators, "),
        (
            "SELECT list_zip(mark_ids) FROM nodules",
            "there is no function `list_zip`; docs/query.md",
        ),
    ] {
        let error = badly(query);
        assert!(error.contains(expected), "{error}");
    }
    let nowhere = folder.path().join("no/x.csv");
    let (error, status) =
        fixture::run_badly(&["sql", query, "--store", store, "--out", nowhere.to_str().unwrap()]);
    assert_eq!(status, Some(2));
    assert!(error.contains("there is no folder `") && error.contains("create it"), "{error}");
    // What is refused comes with the line that asks DuckDB.
    let error = badly("SELECT cohort FROM Nodules WHERE \"cohort\" ILIKE 'a$'");
    let view = format!(
        "CREATE VIEW nodules AS SELECT * FROM read_parquet('{store}/nodules/current/*.parquet');"
    );
    let line = format!(
        "duckdb -c \"{view} SELECT cohort FROM Nodules WHERE \\\"cohort\\\" ILIKE 'a\\$'\""
    );
    assert_eq!(error.lines().last(), Some(&*line));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    use std::io::Read as _;
    use std::process::Stdio;
    let mut child = fixture::nodulus(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(child.wait().unwrap().success(), "{error}");
    assert_eq!(error, "");
}

#[test]
fn a_dry_run_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let text = fixture::run_well(&["run", pipeline.to_str().unwrap(), "--dry-run"]);
    assert!(text.contains("training: starts; there is no checkpoint yet"), "{text}");
    assert!(!folder.path().join("store").exists());
}

#[test]
fn verify_lists_what_is_missing_or_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let phantom = folder.path().join("phantom");
    let root = phantom.to_str().unwrap();
    fixture::run_well(&[
        "phantom",
        root,
        "--seed",
        "1",
        "--patients",
        "2",
        "--size",
        "64",
        "--progress",
        "none",
    ]);
    let verify = |root: &str| {
        fixture::run(&[
            "verify",
            "data-manifests/phantom.toml",
            "--root",
            root,
            "--progress",
            "none",
        ])
    };
    let output = verify(root);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    fs_err::remove_file(phantom.join("luna16/candidates.csv")).unwrap();
    let output = verify(root);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text.contains("candidates.csv"), "{text}");
}

#[test]
fn sql_refuses_what_the_docs_say_with_the_line_that_asks_duckdb() {
    let store = fixture::finished().join("store");
    let examples = crate::python::sql_examples("What is refused");
    assert!(examples.len() > 10, "{examples:?}");
    for (part, sql) in examples {
        let arguments = ["sql", &sql, "--store", store.to_str().unwrap()];
        let (error, status) = fixture::run_badly(&arguments);
        assert_eq!(status, Some(2), "{part}: {error}");
        assert!(error.contains("` is not answered here: "), "{part}: {error}");
        let line = error.lines().last().unwrap();
        assert!(line.starts_with("duckdb -c \"CREATE VIEW ") && line.contains(&sql), "{line}");
    }
}
