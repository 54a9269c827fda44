//! What `--dry-run --check` prints about the headers of scans.

use super::error::Error;
use super::format;
use crate::pipeline::header_check::HeaderReport;
use std::io::Write;

/// Writes how many scans can be read, and why others cannot.
pub(super) fn write(report: &HeaderReport, out: &mut dyn Write) -> Result<(), Error> {
    let n_refused: usize = report.refused.iter().map(|refused| refused.n).sum();
    writeln!(
        out,
        "headers: {} scans can be read, {n_refused} scans, masks or files are refused, {} files are left aside\n",
        report.n_readable, report.n_passed_over
    )?;
    if report.refused.is_empty() {
        return Ok(());
    }
    let rows = report.refused.iter().map(|refused| {
        let setting = refused.setting.unwrap_or("-").to_owned();
        vec![refused.cause.to_owned(), refused.n.to_string(), setting]
    });
    writeln!(
        out,
        "{}",
        format::table(&["refused for", "files", "setting that admits them"], rows)
    )?;
    for refused in &report.refused {
        writeln!(out, "for example: {}", refused.example)?;
    }
    writeln!(out)?;
    Ok(())
}
