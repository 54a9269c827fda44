//! `nodulus verify`.

use super::arguments::VerifyArguments;
use super::progress::Progress;
use super::{Ending, Error};
use nodulus_formats::data_manifest;
use std::io::Write;

pub(super) fn verify(arguments: &VerifyArguments, out: &mut dyn Write) -> Result<Ending, Error> {
    let manifest = data_manifest::read(&arguments.manifest)?;
    let progress = Progress::new(arguments.progress);
    let report = data_manifest::verify(&manifest, &arguments.root, &|done, total| {
        progress.count("verify", done, total, "");
    })?;
    progress.end();
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{report}")?;
    }
    Ok(if report.is_well() { Ending::Well } else { Ending::FailedCases })
}
