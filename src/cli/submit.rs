//! `nodulus submit`: the jobs of a plan for a scheduler.

use super::error::{Error, Outcome};
use super::numbers;
use crate::byte_size;
use crate::pipeline::frozen::{ArrayOptions, FrozenPlan, Script, Submission};
use clap::{Args, ValueEnum};
use nodulus_pages::text::counted;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;

/// A scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    /// Slurm: sbatch and scontrol.
    Slurm,
}

#[derive(Debug, Args)]
pub(super) struct SubmitArguments {
    /// File that `nodulus plan` wrote
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// Scheduler
    #[arg(long, value_enum, default_value = "slurm")]
    engine: Engine,
    /// Cores of a task
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = numbers::whole::<u16>(1, 4096))]
    cpus: u16,
    /// Memory of a task for the voxels of scans; the task asks for 2 GiB more
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = byte_size::parse)]
    max_memory: u64,
    /// Most tasks of an array; each makes several shards where there are more
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = numbers::whole::<u32>(1, 4_000_000))]
    tasks: u32,
    /// Where networks run: cpu, cuda:N for a card, or auto
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// Further option of sbatch for every job, as in --sbatch=--partition=main; repeatable
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    sbatch: Vec<String>,
    /// Further option of sbatch for training, as in --sbatch-train=--gres=gpu:1; repeatable
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    sbatch_train: Vec<String>,
    /// Print the scripts; write and submit nothing
    #[arg(long)]
    dry_run: bool,
}

/// Submits an array for each stage that lacks shards, and a commit after it.
pub(super) fn submit(arguments: &SubmitArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let Engine::Slurm = arguments.engine;
    let plan = fs_err::canonicalize(&arguments.plan).or_else(|error| match error.kind() {
        // Its own message says how to make one.
        io::ErrorKind::NotFound => Ok(arguments.plan.clone()),
        _ => Err(error),
    })?;
    let (frozen, store, config) = FrozenPlan::open(&plan)?;
    let states = frozen.state(&store, &config)?;
    let options = ArrayOptions {
        cpus: arguments.cpus,
        max_memory: arguments.max_memory,
        most_tasks: most_tasks(arguments)?,
        options: arguments.sbatch.clone(),
        training: arguments.sbatch_train.clone(),
        device: arguments.device.clone(),
    };
    let program = std::env::current_exe()?;
    let submissions = frozen.submissions(&store, &states, &options, (&plan, &program));
    if submissions.is_empty() {
        writeln!(out, "nothing to submit: every stage of the plan is committed")?;
        return Ok(Outcome::Success);
    }
    if arguments.dry_run {
        for Submission { array, commit, .. } in &submissions {
            for Script { path, text } in array.iter().chain([commit]) {
                writeln!(out, "# {}\n{text}", path.display())?;
            }
        }
        return Ok(Outcome::Success);
    }
    let mut committed: Option<String> = None;
    for Submission { stage, shards, array, commit } in submissions {
        let after_stage = committed.map(|job| format!("afterok:{job}"));
        let array = match array {
            None => None,
            Some(script) => {
                let job = sbatch(&script, after_stage.as_deref())?;
                let n = counted(shards.shards().len() as u64, "shard", "shards");
                writeln!(out, "{stage:<9} array {job}: {n}")?;
                Some(job)
            }
        };
        // However the array ended: the commit looks at the store.
        let after_array = array.map(|job| format!("afterany:{job}"));
        let job = sbatch(&commit, after_array.as_deref().or(after_stage.as_deref()))?;
        writeln!(out, "{stage:<9} commit {job}")?;
        committed = Some(job);
    }
    Ok(Outcome::Success)
}

/// The most tasks that an array may have here.
fn most_tasks(arguments: &SubmitArguments) -> Result<usize, Error> {
    let asked = arguments.tasks as usize;
    if arguments.dry_run {
        return Ok(asked);
    }
    let config = output(Command::new("scontrol").args(["show", "config"]), "scontrol")?;
    let of_line = |line: &str| line.trim().strip_prefix("MaxArraySize").map(str::to_owned);
    let size = config.lines().find_map(of_line).and_then(|value| {
        value.trim().strip_prefix('=').and_then(|size| size.trim().parse::<usize>().ok())
    });
    // The greatest index is one less than the size.
    Ok(size.map_or(asked, |size| asked.min(size.saturating_sub(1).max(1))))
}

/// Writes a script and submits it; returns the job's number.
fn sbatch(script: &Script, after: Option<&str>) -> Result<String, Error> {
    script.write()?;
    let mut command = Command::new("sbatch");
    command.arg("--parsable");
    command.args(after.map(|after| format!("--dependency={after}")));
    let text = output(command.arg(&script.path), "sbatch")?;
    // The number, and behind a semicolon the cluster.
    let job = text.trim().split(';').next().unwrap_or_default().to_owned();
    if job.is_empty() || !job.bytes().all(|byte| byte.is_ascii_digit()) {
        let text = format!("sbatch of `{}` printed \"{}\"", script.path.display(), text.trim());
        return Err(Error::Usage(format!("{text}, expected the number of a job")));
    }
    Ok(job)
}

/// What a program of the scheduler prints.
fn output(command: &mut Command, name: &str) -> Result<String, Error> {
    let made = command.output().map_err(|error| {
        Error::Usage(format!("cannot run {name}: {error}; is this a machine of the cluster? `--dry-run` prints the scripts"))
    })?;
    if !made.status.success() {
        let error = String::from_utf8_lossy(&made.stderr);
        return Err(Error::Usage(format!("{name} ended with {}: {}", made.status, error.trim())));
    }
    Ok(String::from_utf8_lossy(&made.stdout).into_owned())
}
