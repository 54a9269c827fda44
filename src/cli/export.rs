//! `nodulus export`.

use super::arguments::{ExportArguments, ExportFormat};
use super::{Ending, Error, format};
use crate::pipeline::luna16_export::{self, Export, Options};
use crate::tables::store::Store;
use std::io::Write;

pub(super) fn export(arguments: &ExportArguments, out: &mut dyn Write) -> Result<Ending, Error> {
    let store = Store::open(&arguments.store)?;
    let options = Options {
        cohort: arguments.cohort.as_deref(),
        min_marks: arguments.min_marks,
        candidates: arguments.candidates.as_deref(),
    };
    let export = match arguments.format {
        ExportFormat::Luna16 => luna16_export::export(&store, &arguments.to, options)?,
    };
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &export)?;
        writeln!(out)?;
        return Ok(Ending::Well);
    }
    let Export { record, n_unplaced, n_candidates_left_out } = export;
    writeln!(
        out,
        "cohort {}, nodules of at least {} marks, to {}\n",
        record.cohort,
        record.min_marks,
        arguments.to.display()
    )?;
    let rows = record.files.into_iter().map(|file| vec![file.file, file.rows.to_string()]);
    writeln!(out, "{}", format::table(&["file", "rows"], rows))?;
    if n_unplaced > 0 {
        writeln!(out, "\n{n_unplaced} marks have no place in their scan and are in no file")?;
    }
    if n_candidates_left_out > 0 {
        writeln!(out, "\n{n_candidates_left_out} candidates are of other scans and left out")?;
    }
    Ok(Ending::Well)
}
