//! The command line: each command's arguments and what it prints, one file for each command.

mod error;
mod printable;
mod signals;
mod format;
mod unknown_name;
mod numbers;
mod progress;
mod pipeline_arguments;
mod resources;
mod rows;
mod first_rows;
mod pairs;
mod header_check;
mod forecast;
mod status;
mod run_outcome;
mod run;
mod plan;
mod shard_index;
mod work;
mod submit;
mod plan_status;
mod stage_command;
mod experiment;
mod outdated;
mod tables;
mod show;
#[cfg(feature = "sql")]
mod sql_answer;
mod sql;
mod lineage;
mod gc;
mod fsck;
mod schema;
mod export;
mod montage;
mod plot_marks;
mod compare_nodules;
mod metrics;
mod froc;
mod candidates;
mod score;
mod phantom;
mod verify;
mod completions;
mod arguments;

pub use arguments::Cli;
use arguments::Command;
use clap::{CommandFactory as _, Parser as _};
use error::{Error, Outcome};
use nodulus_faults::Panicked;
use nodulus_formats::archive;
use nodulus_store::damage;
use printable::{TerminalWriter, printable_lines};
use std::io::{self, IsTerminal as _, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// Reads the program's arguments and runs the command that they name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = io::stdout().lock();
    let is_terminal = out.is_terminal();
    let mut out = TerminalWriter::new(out, is_terminal);
    let result = prepare(&cli).and_then(|()| caught(&cli, || dispatch(&cli, &mut out)));
    let result = result.and_then(|outcome| {
        out.flush()?;
        Ok(outcome)
    });
    outdated::warn(damage::take_noted());
    let outcome = match result {
        Ok(outcome) => outcome,
        // The reader of the output has stopped, as in `nodulus show scans | head`.
        Err(error) if error.is_broken_pipe() => Outcome::Success,
        Err(error) => {
            // Nothing helps where standard error is closed.
            let _ = writeln!(io::stderr(), "{}", printable_lines(&error.message()));
            error.outcome()
        }
    };
    ExitCode::from(outcome as u8)
}

/// Runs a command. A panic, as of a library on a file that it does not foresee, ends it as an error does.
fn caught(cli: &Cli, command: impl FnOnce() -> Result<Outcome, Error>) -> Result<Outcome, Error> {
    catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|panic| {
        Err(Error::Bug(match &cli.command {
            // The message may hold text of a file, and the nightly job's log names no patient.
            Command::Score(_) => Panicked::of(&"the log has the place"),
            _ => Panicked::of(panic.as_ref()),
        }))
    })
}

/// Sees to temporary folders: those that killed programs left, and those that this one will make.
fn prepare(cli: &Cli) -> Result<(), Error> {
    let reads_archives = matches!(
        cli.command,
        Command::Run(_)
            | Command::Stage(_)
            | Command::Work(_)
            | Command::Experiment(_)
            | Command::CrossValidate(_)
            | Command::Export(_)
            | Command::Candidates(_)
            | Command::Score(_)
    );
    if reads_archives {
        // Without a folder for temporary files, the first archive's error says so.
        let n = archive::sweep_temporary_folders().unwrap_or(0);
        if n > 0 {
            let text = format!("removed {n} temporary folders of programs that were killed");
            let _ = writeln!(io::stderr(), "{text}");
        }
    }
    // The nightly job ends after the series at hand instead.
    if !matches!(cli.command, Command::Score(_)) {
        signals::remove_temporary_folders_first()?;
    }
    Ok(())
}

fn dispatch(cli: &Cli, out: &mut dyn Write) -> Result<Outcome, Error> {
    match &cli.command {
        Command::Run(arguments) => run::run(arguments, out),
        Command::Stage(command) => run::run_stage(&command.arguments, command.stage, out),
        Command::Plan(arguments) => plan::plan(arguments, out),
        Command::Work(arguments) => work::work(arguments, out),
        Command::Submit(arguments) => submit::submit(arguments, out),
        Command::Commit(arguments) => work::commit(arguments, out),
        Command::Experiment(arguments) => experiment::experiment(arguments, out),
        Command::CrossValidate(arguments) => experiment::cross_validate(arguments, out),
        Command::Status(arguments) => status::status(arguments, out),
        Command::Tables(arguments) => tables::tables(arguments, out),
        Command::Show(arguments) => show::show(arguments, out),
        Command::Sql(arguments) => sql::sql(arguments, out),
        Command::Lineage(arguments) => lineage::lineage(arguments, out),
        Command::Gc(arguments) => gc::gc(arguments, out),
        Command::Fsck(arguments) => fsck::fsck(arguments, out),
        Command::Schema(arguments) => schema::schema(arguments, out),
        Command::Export(arguments) => export::export(arguments, out),
        Command::Montage(arguments) => montage::montage(arguments, out),
        Command::PlotMarks(arguments) => plot_marks::plot_marks(arguments, out),
        Command::CompareNodules(arguments) => compare_nodules::compare_nodules(arguments, out),
        Command::Metrics(arguments) => metrics::metrics(arguments, out),
        Command::Froc(arguments) => froc::froc(arguments, out),
        Command::Candidates(arguments) => candidates::candidates(arguments, out),
        Command::Score(arguments) => score::score(arguments, out),
        Command::Phantom(arguments) => phantom::phantom(arguments, out),
        Command::Verify(arguments) => verify::verify(arguments, out),
        Command::Completions(arguments) => {
            completions::completions(arguments, &mut Cli::command(), out)
        }
    }
}
