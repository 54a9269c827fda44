//! `nodulus completions`.

use super::error::{Error, Outcome};
use clap::Args;
use std::io::Write;

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// Shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Prints a script that completes `command` in a shell.
pub(super) fn completions(
    arguments: &CompletionsArguments,
    command: &mut clap::Command,
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    // The generator panics where it cannot write; writing to memory does not fail.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, command, "nodulus", &mut script);
    out.write_all(&script)?;
    Ok(Outcome::Success)
}
