//! `nodulus completions`.

use super::arguments::{Cli, CompletionsArguments};
use super::{Ending, Error};
use clap::CommandFactory as _;
use std::io::Write;

pub(super) fn completions(
    arguments: &CompletionsArguments,
    out: &mut dyn Write,
) -> Result<Ending, Error> {
    // The generator panics where it cannot write; memory always takes it.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "nodulus", &mut script);
    out.write_all(&script)?;
    Ok(Ending::Well)
}
