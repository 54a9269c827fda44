//! `failures`: one row for each case that failed in a stage.

use super::{Output, Table};
use nodulus_store::{
    Error, FailedCase, JobSpec, Row, ShardInput, ShardSpec, Store, TableSpec, Version, columns,
    hash,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

columns! {
    /// A case that failed.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Failure {
        /// stage that failed
        pub stage: String,
        /// cohort of the case; null for one that spans cohorts, as a patient of two
        pub cohort: Option<String>,
        /// case: an image's path, a series or a nodule
        pub case_id: String,
        /// chain of causes, outermost first
        pub cause: String,
        /// file or folder that caused the failure, relative to the cohort's root
        pub path: Option<String>,
        /// whose fault it is: `content` for a bad file or case, `machine` for one that needs more than `--max-memory`; other
        /// faults of the machine, and of the program, are no results and leave their shard undone
        pub class: String,
    }
}

impl Row for Failure {
    const TABLE: &'static TableSpec = &TableSpec {
        id_columns: &["case_id"],
        schema_version: 2,
        ..TableSpec::new::<Self>("failures", "a case that failed")
    };
}

impl From<FailedCase> for Failure {
    fn from(failed: FailedCase) -> Self {
        let FailedCase { stage, cohort, case_id, cause, path, class, .. } = failed;
        Self { stage, cohort, case_id, cause, path, class: class.name().to_owned() }
    }
}

/// Writes the table anew from the failed cases of the current outputs, if they have changed. `made` are outputs that were
/// just made current; the others are read.
///
/// # Errors
///
/// Fails if the store cannot be read or written to.
pub fn refresh(store: &Store, made: &[Version]) -> Result<(), Error> {
    let mut inputs = Vec::new();
    let mut failed_cases: Vec<FailedCase> = Vec::new();
    for output in Output::all().filter(|output| *output != Output::Table(Table::Failures)) {
        let of_run = made.iter().rfind(|version| version.output() == output.into());
        let read = if of_run.is_none() { store.current(output)? } else { None };
        if let Some(version) = of_run.or(read.as_ref())
            && version.manifest.n_failures() > 0
        {
            failed_cases.extend(version.failures()?);
            inputs.push(version.manifest.as_input());
        }
    }
    let failed = failed_cases.iter().map(|failed| {
        let FailedCase { stage, cohort, case_id, cause, path, class, .. } = failed;
        json!([stage, cohort, case_id, cause, path, class]).to_string()
    });
    let content: Vec<String> = failed.collect();
    let content_sha256 = hash::sha256_parts(content.iter().map(String::as_str));
    let shard = ShardSpec {
        config: Arc::new(Value::Null),
        decisions: Value::Null,
        inputs: vec![ShardInput { name: "failed cases".to_owned(), content_sha256 }],
        cases: Vec::new(),
    };
    let job = store.job(JobSpec {
        stage: "failures",
        stage_version: 4,
        outputs: vec![Output::Table(Table::Failures).into()],
        config: Value::Null,
        inputs,
        shards: vec![shard],
    });
    for shard in job.work()? {
        let shard = shard?;
        let mut part = shard.part::<Failure>()?;
        part.write(failed_cases.iter().cloned().map(Failure::from))?;
        shard.commit(vec![part.finish()?], Vec::new())?;
    }
    job.finish()?;
    Ok(())
}
