//! `nodulus export`.

use super::error::{Error, Outcome};
use super::format;
use super::numbers;
use super::outdated::warn;
use super::pipeline_arguments::PipelineArguments;
use crate::pipeline::Config;
use crate::pipeline::export::{Record, luna16, review, rois, seg};
use crate::pipeline::outdated::outdated_among;
use crate::tables::{Output, Split};
use clap::{Args, Subcommand, ValueEnum};
use nodulus_store::Store;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    #[command(subcommand)]
    what: ExportKind,
}

#[derive(Debug, Subcommand)]
enum ExportKind {
    /// Write a cohort's nodules, other findings, series and candidates in LUNA16's files
    #[command(
        after_help = "Example:\n  nodulus export luna16 --store store/demo --cohort luna16 --out out/luna16\n  nodulus export luna16 --store store/luna16 --out out/luna16 --candidates /data/luna16/candidates_V2.csv\n  nodulus export luna16 --store store/luna16 --out out/published --as-published"
    )]
    Luna16(Luna16Arguments),
    /// Write nodules' regions with their masks
    #[command(
        after_help = "Example:\n  nodulus export rois --store store/demo --to nifti --out out/nifti\n  nodulus export rois --store store/demo --to npz --out out/npz --cohort clinical --split test\n  nodulus export rois --store store/demo --to nnunet --out nnUNet_raw/Dataset501_Nodules"
    )]
    Rois(RoisArguments),
    /// Write what readers outlined as DICOM SEG, with their ratings as DICOM SR
    #[command(
        after_help = "Example:\n  nodulus export seg pipelines/lidc.toml --set ingest.cohorts.0.root=/data/LIDC-IDRI --out out/seg\n  nodulus export seg pipelines/lidc.toml --set ingest.cohorts.0.root=/data/LIDC-IDRI --out out/seg --series 1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192"
    )]
    Seg(SegArguments),
    /// List the nodules that are most worth a reader's look: those that networks disagree about, and unusual ones
    #[command(
        after_help = "Example:\n  nodulus export review --store store/demo --out out/review\n  nodulus export review --store store/lidc --out out/review --nodules 200 --cohort lidc"
    )]
    Review(ReviewArguments),
}

#[derive(Debug, Args)]
struct Luna16Arguments {
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Folder to write to; replaces an earlier export
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Cohort; needed where the store has several
    #[arg(long, value_name = "NAME")]
    cohort: Option<String>,
    /// Least number of marks of a nodule in `annotations.csv`
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = numbers::whole::<i64>(1, 1000))]
    min_marks: i64,
    /// Write both files of marks row by row as LUNA16 published them, from LIDC's XML and whatever the merging rule
    #[arg(long)]
    as_published: bool,
    /// Candidates in LUNA16's columns; they are written with new classes
    #[arg(long, value_name = "FILE")]
    candidates: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RoisArguments {
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// File format
    #[arg(long, value_enum)]
    to: RoisFormat,
    /// Folder to write to; replaces an earlier export. nnU-Net needs the name `DatasetNNN_NAME`
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Cohort; default: all
    #[arg(long, value_name = "NAME")]
    cohort: Option<String>,
    /// Splits, separated by commas; default: all
    #[arg(long, value_name = "SPLITS", value_enum, value_delimiter = ',')]
    split: Vec<SplitName>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct SegArguments {
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// Folder to write to; replaces an earlier export
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Cohort; needed where the store has several
    #[arg(long, value_name = "NAME")]
    cohort: Option<String>,
    /// Series to export; repeatable; default: all of the cohort
    #[arg(long, value_name = "UID")]
    series: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ReviewArguments {
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Folder to write to; replaces an earlier export
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Model; needed where several networks have predictions
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Cohort; default: all
    #[arg(long, value_name = "NAME")]
    cohort: Option<String>,
    /// Number of nodules
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = numbers::whole::<usize>(1, 1_000_000))]
    nodules: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// File format of regions.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoisFormat {
    /// `ID_hu.nii.gz` and `ID_mask.nii.gz`, where the nodule is 1 and other nodules are 2
    Nifti,
    /// `ID.npz`, for `numpy.load`
    Npz,
    /// Parquet with one tensor for each slice
    ParquetTensor,
    /// Data set for nnU-Net
    Nnunet,
}

/// A split.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SplitName {
    Train,
    Validation,
    Test,
}

/// Exports regions, LUNA16's files, DICOM segmentations or a list of nodules.
pub(super) fn export(arguments: &ExportArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    match &arguments.what {
        ExportKind::Luna16(arguments) => export_luna16(arguments, out),
        ExportKind::Rois(arguments) => export_rois(arguments, out),
        ExportKind::Seg(arguments) => export_seg(arguments, out),
        ExportKind::Review(arguments) => export_review(arguments, out),
    }
}

fn export_luna16(arguments: &Luna16Arguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let store = Store::open(&arguments.store)?;
    let options = luna16::Luna16Options {
        cohort: arguments.cohort.as_deref(),
        min_marks: arguments.min_marks,
        as_published: arguments.as_published,
        candidates: arguments.candidates.as_deref(),
    };
    let record = luna16::export(&store, &arguments.out, options)?;
    if warned(&store, &record, arguments.json, out)? {
        return Ok(Outcome::Success);
    }
    let about = record.about;
    writeln!(
        out,
        "cohort {}, nodules of at least {} marks, to {}\n",
        about.cohort,
        about.min_marks,
        arguments.out.display()
    )?;
    let luna16::Counts { annotations, annotations_excluded, seriesuids, candidates } = about.rows;
    let files = [
        ("annotations.csv", Some(annotations)),
        ("annotations_excluded.csv", Some(annotations_excluded)),
        ("seriesuids.csv", Some(seriesuids)),
        ("candidates.csv", candidates),
    ];
    let rows =
        files.into_iter().filter_map(|(file, n)| Some(vec![file.to_owned(), n?.to_string()]));
    writeln!(out, "{}", format::table(&["file", "rows"], rows))?;
    if about.n_unplaced > 0 {
        let n = about.n_unplaced;
        writeln!(out, "\n{n} marks have no position in their scan and are in no file")?;
    }
    if about.n_candidates_left_out > 0 {
        let n = about.n_candidates_left_out;
        writeln!(out, "\n{n} candidates of other scans are skipped")?;
    }
    Ok(Outcome::Success)
}

fn export_rois(arguments: &RoisArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let store = Store::open(&arguments.store)?;
    let splits: Vec<Split> = arguments
        .split
        .iter()
        .map(|split| match split {
            SplitName::Train => Split::Train,
            SplitName::Validation => Split::Validation,
            SplitName::Test => Split::Test,
        })
        .collect();
    let options = rois::RegionOptions {
        format: match arguments.to {
            RoisFormat::Nifti => rois::RegionFormat::Nifti,
            RoisFormat::Npz => rois::RegionFormat::Npz,
            RoisFormat::ParquetTensor => rois::RegionFormat::ParquetTensor,
            RoisFormat::Nnunet => rois::RegionFormat::Nnunet,
        },
        cohort: arguments.cohort.as_deref(),
        splits: &splits,
    };
    let record = rois::export(&store, &arguments.out, options)?;
    if warned(&store, &record, arguments.json, out)? {
        return Ok(Outcome::Success);
    }
    let rois::RegionsDescription { n_patients, n_nodules, n_slices, n_nodules_by_split, .. } =
        record.about;
    writeln!(
        out,
        "{n_nodules} nodules of {n_patients} patients, {n_slices} slices: {} files in {}\n",
        record.files.len(),
        arguments.out.display()
    )?;
    let rows = n_nodules_by_split.into_iter().map(|(split, n)| vec![split, n.to_string()]);
    writeln!(out, "{}", format::table(&["split", "nodules"], rows))?;
    Ok(Outcome::Success)
}

fn export_review(arguments: &ReviewArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let store = Store::open(&arguments.store)?;
    let options = review::ReviewOptions {
        model: arguments.model.as_deref(),
        cohort: arguments.cohort.as_deref(),
        n: arguments.nodules,
    };
    let record = review::export(&store, &arguments.out, options)?;
    if warned(&store, &record, arguments.json, out)? {
        return Ok(Outcome::Success);
    }
    let about = record.about;
    writeln!(
        out,
        "{} of {} nodules that {} predicts, to {}",
        about.n_listed,
        about.n_predicted,
        about.model_id,
        arguments.out.join("review.csv").display()
    )?;
    for (n, text) in [
        (about.n_without_mask, "have no voxel marked; they come first"),
        (about.n_predicted - about.n_with_disagreement, "have no disagreement"),
        (about.n_predicted - about.n_with_distance, "have no distance from training"),
    ] {
        if n > 0 {
            writeln!(out, "{n} {text}")?;
        }
    }
    Ok(Outcome::Success)
}

fn export_seg(arguments: &SegArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let PipelineArguments { pipeline, store, sets } = &arguments.pipeline;
    let config = Config::read(pipeline, sets, store.as_deref())?;
    let store = Store::open(&config.store)?;
    let options =
        seg::SegOptions { cohort: arguments.cohort.as_deref(), series: &arguments.series };
    let record = seg::export(&config, &store, &arguments.out, options)?;
    let is_whole = record.about.skipped.is_empty();
    let outcome = if is_whole { Outcome::Success } else { Outcome::FailedCases };
    if warned(&store, &record, arguments.json, out)? {
        return Ok(outcome);
    }
    let about = record.about;
    writeln!(
        out,
        "cohort {}: {} segments of {} nodules in {} scans: {} files in {}",
        about.cohort,
        about.n_segments,
        about.n_nodules,
        about.n_scans,
        record.files.len(),
        arguments.out.display()
    )?;
    for (n, text) in [
        (about.n_scans_without_nodules, "scans have no nodule, and no files"),
        (
            about.n_without_consensus,
            "nodules have no consensus segment, because no voxel has enough readers",
        ),
        (about.n_marks_without_nodule, "outlined marks belong to no nodule and are in no file"),
        (about.n_ratings_off_scale, "ratings are off their scale and have no code"),
    ] {
        if n > 0 {
            writeln!(out, "{n} {text}")?;
        }
    }
    for skipped in &about.skipped {
        writeln!(out, "skipped {}: {}", skipped.series_instance_uid, skipped.reason)?;
    }
    Ok(outcome)
}

/// Names the tables of an export that are older than what they were made from: in the JSON, if it is asked for and then
/// written, else on standard error. Returns whether JSON was written.
pub(super) fn warned<A: serde::Serialize>(
    store: &Store,
    record: &Record<A>,
    json: bool,
    out: &mut dyn Write,
) -> Result<bool, Error> {
    let outputs = record.inputs.iter().filter_map(|input| Output::from_name(&input.name));
    let outdated = outdated_among(store, &outputs.collect::<Vec<_>>())?;
    if !json {
        warn(outdated);
        return Ok(false);
    }
    let mut value = serde_json::to_value(record)?;
    value["outdated"] = serde_json::to_value(outdated)?;
    serde_json::to_writer_pretty(&mut *out, &value)?;
    writeln!(out)?;
    Ok(true)
}
