//! One command for each stage, from the stages' own list.

use super::run::{PREDICTIONS, StageArguments};
use crate::stages::Stage;
use clap::{ArgMatches, Args as _, Command, Error, FromArgMatches, Subcommand};

/// The command that runs one stage alone.
#[derive(Debug)]
pub(super) struct StageCommand {
    pub(super) stage: Stage,
    pub(super) arguments: StageArguments,
}

impl StageCommand {
    fn command(stage: Stage) -> Command {
        let spec = stage.spec();
        let (first, rest) = spec.description.split_at(1);
        let about = format!("{}{rest}", first.to_uppercase());
        let example = format!("Example:\n  nodulus {stage} pipelines/demo.toml {}", spec.example);
        let command = StageArguments::augment_args(Command::new(spec.name));
        let is_measuring = stage == Stage::Evaluate;
        let command = command.mut_arg(PREDICTIONS, |option| option.hide(!is_measuring));
        command.about(about).after_help(example.trim_end().to_owned())
    }
}

impl FromArgMatches for StageCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let chosen = matches.subcommand();
        let stage = chosen.and_then(|(name, arguments)| Some((Stage::from_name(name)?, arguments)));
        let (stage, arguments) =
            stage.ok_or_else(|| Error::new(clap::error::ErrorKind::InvalidSubcommand))?;
        Ok(Self { stage, arguments: StageArguments::from_arg_matches(arguments)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for StageCommand {
    fn augment_subcommands(command: Command) -> Command {
        command.subcommands(Stage::ALL.map(Self::command))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Stage::from_name(name).is_some()
    }
}
