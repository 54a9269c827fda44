//! `failures`: one row for each case that failed in a stage.

use super::{Output, Table};
use nodulus_store::{Error, FailedCase, JobSpec, Row, Store, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A case that failed.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Failure {
        /// stage that failed
        pub stage: String,
        /// case: an image's path, a series or a nodule
        pub case_id: String,
        /// chain of causes, outermost first
        pub cause: String,
        /// file or folder at fault, relative to the cohort's root
        pub path: Option<String>,
    }
}

impl Row for Failure {
    const TABLE: &'static TableSpec = &TableSpec {
        id_columns: &["case_id"],
        ..TableSpec::new::<Self>("failures", "a case that failed")
    };
}

impl From<FailedCase> for Failure {
    fn from(FailedCase { stage, case_id, cause, path }: FailedCase) -> Self {
        Self { stage, case_id, cause, path }
    }
}

/// Writes the table anew from the failed cases of the current outputs, if they have changed.
///
/// # Errors
///
/// Fails if the store cannot be read or written to.
pub fn refresh(store: &Store) -> Result<(), Error> {
    let mut inputs = Vec::new();
    let mut failed_cases: Vec<FailedCase> = Vec::new();
    for output in Output::all().filter(|output| *output != Output::Table(Table::Failures)) {
        if let Some(version) = store.current(output)? {
            let of_output = version.manifest.shards.iter().flat_map(|shard| &shard.failures);
            let n_before = failed_cases.len();
            failed_cases.extend(of_output.cloned());
            if failed_cases.len() > n_before {
                inputs.push(version.manifest.as_input());
            }
        }
    }
    let job = store.job(JobSpec {
        stage: "failures",
        stage_version: 1,
        outputs: vec![Output::Table(Table::Failures).into()],
        config: serde_json::to_value(&failed_cases)
            .map_err(|source| Error::Record { path: store.root().to_owned(), source })?,
        inputs,
        n_shards: 1,
    });
    if !job.is_finished() {
        let shard = job.shard(0)?;
        let mut part = shard.part::<Failure>()?;
        part.write(failed_cases.into_iter().map(Failure::from))?;
        shard.commit(vec![part.finish()?], Vec::new())?;
    }
    job.finish()?;
    Ok(())
}
