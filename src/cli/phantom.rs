//! `nodulus phantom`.

use super::arguments::PhantomArguments;
use super::progress::Progress;
use super::{Ending, Error};
use crate::phantom;
use std::io::Write;

pub(super) fn phantom(arguments: &PhantomArguments, out: &mut dyn Write) -> Result<Ending, Error> {
    let mut config = phantom::Config {
        seed: arguments.seed,
        patients: arguments.patients,
        clinical_patients: arguments.clinical_patients,
        ..phantom::Config::default()
    };
    if let Some(size) = arguments.size {
        config.size = size;
    }
    let progress = Progress::new(arguments.progress);
    let summary = phantom::write(&arguments.out, &config, &|done, total| {
        progress.count("phantom", done as u64, total as u64, "");
    })?;
    progress.end();
    let phantom::Summary { patients, clinical_patients, nodules, already_complete } = summary;
    let there = if already_complete { "there already" } else { "written" };
    let folder = arguments.out.display();
    writeln!(
        out,
        "{folder}: {there}, {patients} patients with four readers, {clinical_patients} clinical patients, {nodules} nodules of 3 mm or more"
    )?;
    Ok(Ending::Well)
}
