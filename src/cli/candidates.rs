//! `nodulus candidates`.

use super::error::{Error, Outcome};
use super::format;
use super::numbers;
use crate::nightly::detectors::{Axes, Converted, Detector, Request, convert};
use clap::{Args, ValueEnum};
use nodulus_formats::luna_csv;
use nodulus_store::{disk, durable};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

/// Images that are named; JSON has all.
const IMAGES_NAMED: usize = 10;

#[derive(Debug, Args)]
pub(super) struct CandidatesArguments {
    /// The detector's file; for nnDetection also the folder with its files
    results: PathBuf,
    /// The program that wrote it
    #[arg(long, value_name = "DETECTOR")]
    from: DetectorName,
    /// Folder with the scans: DICOM series, MetaImage or NIfTI, as `score.input`
    #[arg(long, value_name = "DIR")]
    input: PathBuf,
    /// Table of candidates to write, as LUNA16's submissions: seriesuid, coordX, coordY, coordZ, probability
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Also write the series that the detector looked at, as LUNA16's `seriesuids.csv`: those without candidates have no nodules
    #[arg(long, value_name = "FILE")]
    seriesuids: Option<PathBuf>,
    /// Axes of MONAI's boxes: `lps` with `affine_lps_to_ras` in the bundle's `postprocessing`, as it is shipped, else `ras`
    #[arg(long, value_name = "AXES")]
    axes: Option<AxesName>,
    /// Leave out detections with a lower probability
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = numbers::probability)]
    min_probability: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DetectorName {
    /// The bundle `lung_nodule_ct_detection`
    Monai,
    #[value(name = "nndetection")]
    NnDetection,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AxesName {
    Lps,
    Ras,
}

/// Converts a detector's results to a table of candidates.
pub(super) fn candidates(
    arguments: &CandidatesArguments,
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    let detector = match arguments.from {
        DetectorName::Monai => Detector::Monai,
        DetectorName::NnDetection => Detector::NnDetection,
    };
    if arguments.axes.is_some() && detector == Detector::NnDetection {
        let text = "`--axes` does not apply: nnDetection's files tell the axes of their boxes";
        return Err(Error::Usage(text.to_owned()));
    }
    for (option, path) in
        [("--out", Some(&arguments.out)), ("--seriesuids", arguments.seriesuids.as_ref())]
    {
        if path.is_some_and(|path| disk::lies_in(path, &arguments.input)) {
            let text = format!(
                "`{option}` lies in the folder of scans, in which nothing is written; choose another folder"
            );
            return Err(Error::Usage(text));
        }
    }
    let axes = match arguments.axes {
        Some(AxesName::Ras) => Axes::Ras,
        Some(AxesName::Lps) | None => Axes::Lps,
    };
    let request = Request {
        detector,
        results: &arguments.results,
        axes,
        input: &arguments.input,
        min_probability: arguments.min_probability,
    };
    let converted = convert(&request)?;
    let table = luna_csv::detections_csv(&arguments.out, &converted.candidates)
        .map_err(|error| Error::Detectors(error.into()))?;
    durable::write(&arguments.out, &table)?;
    // The nightly job takes a series of this list without rows for one without nodules.
    if let Some(path) = &arguments.seriesuids {
        let lines: String = converted.series.iter().flat_map(|uid| [uid.as_str(), "\n"]).collect();
        durable::write(path, lines.as_bytes())?;
    }
    if arguments.json {
        let value = json!({
            "n_images": converted.n_images,
            "n_series": converted.series.len(),
            "detections": converted.counts,
            "outside_other_axes": converted.outside_turned,
            "left_out": converted.left_out,
        });
        serde_json::to_writer_pretty(&mut *out, &value)?;
        writeln!(out)?;
    } else {
        write_text(&converted, detector, axes, out)?;
    }
    let is_whole = converted.left_out.is_empty() && converted.counts.outside == 0;
    Ok(if is_whole { Outcome::Success } else { Outcome::FailedCases })
}

fn write_text(
    converted: &Converted,
    detector: Detector,
    axes: Axes,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let counts = converted.counts;
    writeln!(
        out,
        "{} images, of which {} are scans of the input\n",
        converted.n_images,
        converted.series.len()
    )?;
    let rows = [
        (counts.matched, "candidates"),
        (counts.below_threshold, "below the least probability"),
        (counts.duplicate, "at a position that another one of the scan has"),
        (counts.outside, "outside their scan"),
        (counts.unknown_image, "of images that are no scan of the input, or may be several"),
        (counts.unreadable, "of scans that cannot be read, or lie elsewhere than the image"),
        (counts.malformed, "of images with a box or a score that cannot be read"),
        (counts.rows, "all"),
    ];
    let rows = rows.into_iter().map(|(n, outcome)| vec![n.to_string(), outcome.to_owned()]);
    writeln!(out, "{}", format::table(&["detections", "outcome"], rows))?;
    if let Some(note) = axes_note(converted, detector, axes) {
        writeln!(out, "\n{note}")?;
    }
    if !converted.left_out.is_empty() {
        let rows = converted.left_out.iter().take(IMAGES_NAMED);
        let rows = rows.map(|left| vec![left.image.clone(), left.reason.clone()]);
        writeln!(out, "\n{}", format::table(&["image left out", "reason"], rows))?;
        let more = converted.left_out.len().saturating_sub(IMAGES_NAMED);
        if more > 0 {
            writeln!(out, "and {more} more (`--json` lists all)")?;
        }
    }
    Ok(())
}

/// Says so where fewer detections would lie outside along the other axes.
fn axes_note(converted: &Converted, detector: Detector, axes: Axes) -> Option<String> {
    let (outside, turned) = (converted.counts.outside, converted.outside_turned);
    let (now, other) = match axes {
        Axes::Lps => ("lps", "ras"),
        Axes::Ras => ("ras", "lps"),
    };
    (detector == Detector::Monai && outside > turned).then(|| {
        format!("{outside} detections lie outside their scans with `--axes {now}`, and {turned} would with `--axes {other}`: check the bundle's `affine_lps_to_ras`")
    })
}
