//! Scripts of Slurm for the stages of a plan.

use super::{FrozenPlan, ShardList, StageState};
use crate::stages::Stage;
use nodulus_store::{Store, durable};
use std::io;
use std::path::{Path, PathBuf};

/// What the tasks of an array may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrayOptions {
    /// Cores of a task.
    pub cpus: u16,
    /// Bytes of memory for the voxels of scans, `--max-memory` of the worker.
    pub max_memory: u64,
    /// Most tasks of an array.
    pub most_tasks: usize,
    /// Further options of `sbatch` for every job, as `--partition=main`.
    pub options: Vec<String>,
    /// Further options of `sbatch` for training, as `--gres=gpu:1`.
    pub training: Vec<String>,
    /// Device of training and prediction, `--device` of the worker.
    pub device: String,
}

/// A job that is submitted: an array that makes the shards of a stage, or the commit after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// The jobs of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The stage.
    pub stage: Stage,
    /// The shards that its tasks make; none where all are made or being made.
    pub shards: ShardList,
    /// The array, where there are shards to be made.
    pub array: Option<Script>,
    /// The commit.
    pub commit: Script,
}

/// Bytes that a worker takes beyond those of scans: the program, a shard's rows, and the network of inference.
///
/// METHOD: a guess from docs/benchmarks.md: no stage but training with the paper's widths took more than 1 GiB beside its scans.
const BESIDE_SCANS: u64 = 2 << 30;

impl FrozenPlan {
    /// The jobs of all stages that are not committed, in order. `plan` is the plan's file, `program` the program that works.
    pub fn submissions(
        &self,
        store: &Store,
        states: &[(Stage, usize, StageState)],
        options: &ArrayOptions,
        (plan, program): (&Path, &Path),
    ) -> Vec<Submission> {
        let folder = self.folder(store).join("slurm");
        let of_stage = |(stage, n_shards, state): &(Stage, usize, StageState)| {
            let shards = match state {
                StageState::Committed => return None,
                StageState::Waits { .. } => (0..*n_shards).collect::<Vec<_>>(),
                StageState::Open { shards, .. } => {
                    let is_free = |n: &&usize| !shards.claimed.contains(n);
                    shards.pending.iter().filter(is_free).copied().collect()
                }
            };
            let command = |verb: &str| {
                format!(
                    "{} {verb} --plan {} --stage {stage} --threads {} --max-memory {} --device {} --progress none",
                    quoted(program),
                    quoted(plan),
                    options.cpus,
                    options.max_memory,
                    options.device
                )
            };
            let script = |name: &str, text: String| {
                let path = folder.join(format!("{stage}-{name}.sh"));
                Script { path, text }
            };
            let array = (!shards.is_empty()).then(|| {
                let tasks = self.tasks(*stage, &shards, options.most_tasks);
                script("array", array_text(*stage, &tasks, options, &folder, &command("work")))
            });
            let commit = commit_text(*stage, options, &folder, &command("commit"));
            let commit = script("commit", commit);
            Some(Submission { stage: *stage, shards: ShardList::new(&shards), array, commit })
        };
        states.iter().filter_map(of_stage).collect()
    }

    /// Shares shards out to tasks that follow each other, each of about as many bytes.
    fn tasks(&self, stage: Stage, shards: &[usize], most: usize) -> Vec<ShardList> {
        let bytes = |n: &usize| {
            let frozen = self.frozen.shards.get(*n).filter(|_| stage.spec().is_sharded);
            frozen.map_or(1, |shard| shard.bytes.max(1))
        };
        let n_tasks = most.clamp(1, shards.len().max(1));
        let total: u64 = shards.iter().map(bytes).sum();
        let (mut tasks, mut task, mut done) = (Vec::new(), Vec::new(), 0u64);
        for (n, shard) in shards.iter().enumerate() {
            task.push(*shard);
            done += bytes(shard);
            let due =
                u128::from(done) * n_tasks as u128 >= u128::from(total) * (tasks.len() as u128 + 1);
            // As many shards stay as tasks are left, so that none is empty.
            let is_last = shards.len() - n - 1 < n_tasks - tasks.len();
            if due || is_last && tasks.len() + 1 < n_tasks {
                tasks.push(ShardList::new(&std::mem::take(&mut task)));
            }
        }
        if !task.is_empty() {
            tasks.push(ShardList::new(&task));
        }
        tasks
    }
}

impl Script {
    /// Writes the script.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be written to.
    pub fn write(&self) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs_err::create_dir_all(folder.join("logs"))?;
        }
        durable::write(&self.path, self.text.as_bytes())
    }
}

fn array_text(
    stage: Stage,
    tasks: &[ShardList],
    options: &ArrayOptions,
    folder: &Path,
    command: &str,
) -> String {
    let own: &[String] = if stage == Stage::Train { &options.training } else { &[] };
    let head = head(stage, "array", options, folder, own);
    let last = tasks.len().saturating_sub(1);
    let tasks = tasks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n    ");
    // Two minutes before the time is up: the worker ends, and the task goes back into the queue.
    format!(
        "{head}#SBATCH --array=0-{last}\n#SBATCH --requeue\n#SBATCH --signal=B:USR1@120\n#SBATCH --open-mode=append\n\n\
         # The shards of each task.\ntasks=(\n    {tasks}\n)\n\n{AGAIN}\
         {command} --shard \"${{tasks[$SLURM_ARRAY_TASK_ID]}}\" &\nworker=$!\nwait \"$worker\"\n"
    )
}

/// Ends the worker and puts the task back into the queue, on the signal before its time is up.
const AGAIN: &str = r#"again() {
    kill -TERM "$worker" 2>/dev/null
    wait "$worker"
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
    exit 75
}
trap again USR1

"#;

fn commit_text(stage: Stage, options: &ArrayOptions, folder: &Path, command: &str) -> String {
    let head = head(stage, "commit", options, folder, &[]);
    format!(
        "{head}\n{command}\nstatus=$?\n\
         # Failed cases are rows of `failures`, and the stages after this one go on.\n\
         [ \"$status\" = 3 ] && exit 0\nexit \"$status\"\n"
    )
}

fn head(stage: Stage, name: &str, options: &ArrayOptions, folder: &Path, own: &[String]) -> String {
    let mib = (options.max_memory + BESIDE_SCANS).div_ceil(1 << 20);
    let task = if name == "array" { "%A_%a" } else { "%j" };
    let log = folder.join("logs").join(format!("{stage}-{task}.log"));
    let further = options.options.iter().chain(own);
    let further = further.map(|option| format!("#SBATCH {option}\n")).collect::<Vec<_>>().concat();
    format!(
        "#!/bin/bash\n#SBATCH --job-name=nodulus-{stage}-{name}\n#SBATCH --cpus-per-task={}\n#SBATCH --mem={mib}M\n\
         #SBATCH --output={}\n{further}",
        options.cpus,
        quoted(&log)
    )
}

/// A path for the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::super::{Frozen, FrozenShard};
    use super::*;

    fn plan(bytes: &[u64]) -> FrozenPlan {
        let shard = |bytes: &u64| FrozenShard {
            cohort: "c".to_owned(),
            n_cases: 1,
            bytes: *bytes,
            content_sha256: String::new(),
            list_sha256: String::new(),
        };
        let frozen = Frozen { shards: bytes.iter().map(shard).collect(), ..Frozen::default() };
        FrozenPlan { key: "k".to_owned(), frozen }
    }

    fn tasks(bytes: &[u64], shards: &[usize], most: usize) -> Vec<String> {
        let tasks = plan(bytes).tasks(Stage::Crop, shards, most);
        tasks.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tasks_have_about_as_many_bytes_and_none_is_empty() {
        assert_eq!(tasks(&[1; 6], &[0, 1, 2, 3, 4, 5], 3), ["0-1", "2-3", "4-5"]);
        assert_eq!(tasks(&[1; 6], &[0, 1, 2, 3, 4, 5], 100), ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(tasks(&[9, 1, 1, 1, 1, 1], &[0, 1, 2, 3, 4, 5], 2), ["0", "1-5"]);
        assert_eq!(tasks(&[1, 1, 1, 1, 1, 99], &[0, 1, 2, 3, 4, 5], 3), ["0-3", "4", "5"]);
        assert_eq!(tasks(&[1; 9], &[2, 5, 8], 2), ["2,5", "8"]);
        assert_eq!(tasks(&[], &[0], 4), ["0"]);
        for most in 1..8 {
            for n in 1..8 {
                let shards: Vec<usize> = (0..n).collect();
                let bytes: Vec<u64> = (0..n as u64).map(|n| n * n % 5).collect();
                let found = tasks(&bytes, &shards, most);
                assert_eq!(found.len(), most.min(n), "{n} shards, {most} tasks: {found:?}");
            }
        }
    }
}
