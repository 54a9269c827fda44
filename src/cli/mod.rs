//! The command line: arguments, one function a command, and everything that is printed.

mod arguments;
mod compare_nodules;
mod completions;
mod experiment;
mod export;
mod export_schema;
mod format;
mod frame;
mod froc;
mod join_conditions;
mod lineage;
mod means;
mod metrics;
mod montage;
mod pairs;
mod phantom;
mod progress;
mod run;
mod score;
mod show;
mod sql;
mod status;
mod tables;
mod verify;

use crate::nightly;
use crate::pipeline::{
    compare_masks, compare_nodules as comparison, config, detections, experiment as experiments,
    export as exporting, nodule_table, runner,
};
use crate::tables::store;
pub use arguments::Cli;
use arguments::Command;
use clap::Parser as _;
use std::io::{self, Write};
use std::process::ExitCode;

/// How a command ended; the number is the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// All well.
    Well = 0,
    /// Stopped by an error.
    Stopped = 1,
    /// Asked for something that cannot be.
    Usage = 2,
    /// Finished, with cases that failed.
    FailedCases = 3,
}

/// A command stopped.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Run(#[from] runner::Error),
    #[error(transparent)]
    Experiment(#[from] experiments::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Lock(#[from] crate::tables::lock::Error),
    #[error(transparent)]
    Phantom(#[from] crate::phantom::Error),
    #[error(transparent)]
    DataManifest(#[from] nodulus_formats::data_manifest::Error),
    #[error(transparent)]
    Parquet(#[from] crate::tables::parquet::Error),
    #[error(transparent)]
    Model(#[from] nodulus_nets::Error),
    #[error(transparent)]
    Export(#[from] exporting::Error),
    #[error(transparent)]
    NoduleTable(#[from] nodule_table::Error),
    #[error(transparent)]
    Masks(#[from] compare_masks::Error),
    #[error(transparent)]
    Detections(#[from] detections::Error),
    #[error(transparent)]
    Comparison(#[from] comparison::NoCommonPlaces),
    #[error(transparent)]
    Score(#[from] nightly::run::Error),
    #[error("cannot query the table")]
    Polars(#[from] polars::error::PolarsError),
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    fn ending(&self) -> Ending {
        match self {
            Self::Config(_) | Self::Usage(_) => Ending::Usage,
            Self::Experiment(error) if error.is_choice() => Ending::Usage,
            Self::Export(error) if error.is_choice() => Ending::Usage,
            Self::NoduleTable(error) if error.is_choice() => Ending::Usage,
            _ => Ending::Stopped,
        }
    }
}

/// Reads the program's arguments and does what they ask.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = io::stdout().lock();
    let result = dispatch(&cli, &mut out).and_then(|ending| {
        out.flush()?;
        Ok(ending)
    });
    let ending = match result {
        Ok(ending) => ending,
        // Whoever read the output has seen enough, as in `nodulus show scans | head`.
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ending::Well,
        Err(error) => {
            // Nothing can be done where standard error is closed.
            let _ = writeln!(io::stderr(), "{}", message(&error));
            error.ending()
        }
    };
    ExitCode::from(ending as u8)
}

fn dispatch(cli: &Cli, out: &mut dyn Write) -> Result<Ending, Error> {
    match &cli.command {
        Command::Run(arguments) => run::run(arguments, None, out),
        Command::Experiment(arguments) => experiment::experiment(arguments, out),
        Command::CrossValidate(arguments) => experiment::cross_validate(arguments, out),
        Command::Status(arguments) => status::status(arguments, out),
        Command::Tables(arguments) => tables::tables(arguments, out),
        Command::Show(arguments) => show::show(arguments, out),
        Command::Sql(arguments) => sql::sql(arguments, out),
        Command::Lineage(arguments) => lineage::lineage(arguments, out),
        Command::Schema(arguments) => export_schema::schema(arguments, out),
        Command::Export(arguments) => export::export(arguments, out),
        Command::Montage(arguments) => montage::montage(arguments, out),
        Command::CompareNodules(arguments) => compare_nodules::compare_nodules(arguments, out),
        Command::Metrics(arguments) => metrics::metrics(arguments, out),
        Command::Froc(arguments) => froc::froc(arguments, out),
        Command::Score(arguments) => score::score(arguments, out),
        Command::Phantom(arguments) => phantom::phantom(arguments, out),
        Command::Verify(arguments) => verify::verify(arguments, out),
        Command::Completions(arguments) => completions::completions(arguments, out),
        stage => {
            let (stage, arguments) =
                stage.stage().ok_or_else(|| Error::Usage("no such command".to_owned()))?;
            run::run(arguments, Some(stage), out)
        }
    }
}

/// An error and its causes on one line; what an outer error says already is not said twice.
fn message(error: &dyn std::error::Error) -> String {
    let mut text = format!("error: {error}");
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn arguments_are_consistent_and_every_command_has_an_example() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            assert!(help.contains(&format!("nodulus {name}")), "`{name}` has no example");
        }
    }

    #[test]
    fn a_message_says_each_cause_once() {
        let inner = io::Error::other("disk full");
        let error = Error::from(store::Error::Io(inner));
        assert_eq!(message(&error), "error: disk full");
    }
}
