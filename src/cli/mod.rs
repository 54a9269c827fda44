//! The command line: each command's arguments and what it prints, one file for each command.

mod error;
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
mod schema;
mod export;
mod montage;
mod compare_nodules;
mod metrics;
mod froc;
mod score;
mod phantom;
mod verify;
mod completions;
mod arguments;

pub use arguments::Cli;
use arguments::Command;
use clap::{CommandFactory as _, Parser as _};
use error::{Error, Outcome};
use std::io::{self, Write};
use std::process::ExitCode;

/// Reads the program's arguments and runs the command that they name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = io::stdout().lock();
    let result = dispatch(&cli, &mut out).and_then(|outcome| {
        out.flush()?;
        Ok(outcome)
    });
    let outcome = match result {
        Ok(outcome) => outcome,
        // The reader of the output has stopped, as in `nodulus show scans | head`.
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Outcome::Success,
        Err(error) => {
            // Nothing helps where standard error is closed.
            let _ = writeln!(io::stderr(), "{}", error.message());
            error.outcome()
        }
    };
    ExitCode::from(outcome as u8)
}

fn dispatch(cli: &Cli, out: &mut dyn Write) -> Result<Outcome, Error> {
    match &cli.command {
        Command::Run(arguments) => run::run(arguments, out),
        Command::Stage(command) => run::run_stage(&command.arguments, command.stage, out),
        Command::Experiment(arguments) => experiment::experiment(arguments, out),
        Command::CrossValidate(arguments) => experiment::cross_validate(arguments, out),
        Command::Status(arguments) => status::status(arguments, out),
        Command::Tables(arguments) => tables::tables(arguments, out),
        Command::Show(arguments) => show::show(arguments, out),
        Command::Sql(arguments) => sql::sql(arguments, out),
        Command::Lineage(arguments) => lineage::lineage(arguments, out),
        Command::Gc(arguments) => gc::gc(arguments, out),
        Command::Schema(arguments) => schema::schema(arguments, out),
        Command::Export(arguments) => export::export(arguments, out),
        Command::Montage(arguments) => montage::montage(arguments, out),
        Command::CompareNodules(arguments) => compare_nodules::compare_nodules(arguments, out),
        Command::Metrics(arguments) => metrics::metrics(arguments, out),
        Command::Froc(arguments) => froc::froc(arguments, out),
        Command::Score(arguments) => score::score(arguments, out),
        Command::Phantom(arguments) => phantom::phantom(arguments, out),
        Command::Verify(arguments) => verify::verify(arguments, out),
        Command::Completions(arguments) => {
            completions::completions(arguments, &mut Cli::command(), out)
        }
    }
}
