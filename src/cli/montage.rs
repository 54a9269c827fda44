//! `nodulus montage`.

use super::error::{Error, Outcome};
use super::export::warned;
use super::numbers;
use crate::pipeline::montage::{self, MontageOptions};
use clap::{Args, ValueEnum};
use nodulus_store::Store;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct MontageArguments {
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Folder to write to; replaces an earlier export
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Cohort; needed where the store has several
    #[arg(long, value_name = "NAME")]
    cohort: Option<String>,
    /// HU shown as black and as white; default: the window of the normalisation
    #[arg(long, value_name = "LOW,HIGH", value_parser = window, allow_hyphen_values = true)]
    window: Option<[f64; 2]>,
    /// What a tile shows
    #[arg(long, value_enum, default_value = "nodules")]
    what: MontageKind,
    /// Tiles in a row
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = numbers::whole::<u16>(1, 65_535))]
    columns: u16,
    /// Rows of tiles on a page
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = numbers::whole::<u16>(1, 65_535))]
    rows: u16,
    /// Width and height of a tile in pixels
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = numbers::whole::<u16>(64, 65_535))]
    tile: u16,
    /// Model whose masks are drawn; needed where the store has predictions of several networks
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a tile shows.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MontageKind {
    /// A nodule's central slice
    Nodules,
    /// Each slice of a nodule's region
    Slices,
}

/// Draws contact sheets.
pub(super) fn montage(arguments: &MontageArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let store = Store::open(&arguments.store)?;
    let options = MontageOptions {
        cohort: arguments.cohort.as_deref(),
        window_hu: arguments.window,
        what: match arguments.what {
            MontageKind::Nodules => montage::TileContent::Nodules,
            MontageKind::Slices => montage::TileContent::Slices,
        },
        grid: [arguments.columns, arguments.rows].map(usize::from),
        tile: arguments.tile.into(),
        model: arguments.model.as_deref(),
    };
    let record = montage::draw(&store, &arguments.out, options)?;
    if warned(&store, &record, arguments.json, out)? {
        return Ok(Outcome::Success);
    }
    let montage::MontageDescription {
        cohort,
        window_hu: [low, high],
        model,
        n_nodules,
        n_tiles,
        ..
    } = record.about;
    writeln!(
        out,
        "cohort {cohort}: {n_nodules} nodules, {n_tiles} tiles on {} pages in {}; window {low} to {high} HU, {}",
        record.files.len(),
        arguments.out.display(),
        model.map_or("no predictions".to_owned(), |model| format!("predictions by {model}")),
    )?;
    Ok(Outcome::Success)
}

/// Parses two numbers, the lower one first.
pub(super) fn window(text: &str) -> Result<[f64; 2], String> {
    let numbers =
        text.split_once(',').map(|(low, high)| [low, high].map(|v| v.trim().parse::<f64>()));
    match numbers {
        Some([Ok(low), Ok(high)]) if low < high && low.is_finite() && high.is_finite() => {
            Ok([low, high])
        }
        _ => Err("expected two numbers, the lower one first, as in -1000,400".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_two_numbers_in_order() {
        assert_eq!(window("-1350,150"), Ok([-1350.0, 150.0]));
        assert_eq!(window("0, 1.5"), Ok([0.0, 1.5]));
        for text in ["", "400", "400,-1000", "1,1", "a,b", "NaN,1", "0,inf", "1,2,3"] {
            assert!(window(text).is_err(), "{text}");
        }
    }
}
