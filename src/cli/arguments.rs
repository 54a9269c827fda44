//! What can be asked for.

use super::export::ExportArguments;
use super::montage::MontageArguments;
use super::score::ScoreArguments;
use super::sql::SqlArguments;
use crate::stages::Stage;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Lung CT and radiologists' marks to trained, audited, scored nodule segmentation.
#[derive(Debug, Parser)]
#[command(
    name = "nodulus",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run every stage whose tables are missing or stale
    #[command(
        after_help = "Example:\n  nodulus run pipelines/demo.toml\n  nodulus run pipelines/demo.toml --set crop.margin_slices=2 --dry-run\n\nExit status: 0 all well, 1 stopped by an error, 2 usage, 3 finished with failed cases."
    )]
    Run(RunArguments),
    /// Read scans and readers' marks
    #[command(after_help = "Example:\n  nodulus ingest pipelines/demo.toml")]
    Ingest(RunArguments),
    /// Join the readers' marks of one nodule
    #[command(
        after_help = "Example:\n  nodulus merge pipelines/demo.toml --set merge.consensus_level=0.75"
    )]
    Merge(RunArguments),
    /// Measure how far readers agree
    #[command(after_help = "Example:\n  nodulus agree pipelines/demo.toml")]
    Agree(RunArguments),
    /// Cut each nodule's region out of its scan
    #[command(after_help = "Example:\n  nodulus crop pipelines/demo.toml --max-memory 8GiB")]
    Crop(RunArguments),
    /// Choose slices and split patients
    #[command(after_help = "Example:\n  nodulus balance pipelines/demo.toml --set balance.ratio=2")]
    Balance(RunArguments),
    /// Fit the network, phase after phase
    #[command(after_help = "Example:\n  nodulus train pipelines/demo.toml --force train")]
    Train(RunArguments),
    /// Predict each slice
    #[command(after_help = "Example:\n  nodulus infer pipelines/demo.toml")]
    Infer(RunArguments),
    /// Measure each prediction
    #[command(after_help = "Example:\n  nodulus evaluate pipelines/demo.toml")]
    Evaluate(RunArguments),
    /// Write the report
    #[command(after_help = "Example:\n  nodulus report pipelines/demo.toml")]
    Report(RunArguments),
    /// Train, predict and score each row of an experiment, and print its table
    #[command(
        after_help = "Example:\n  nodulus experiment pipelines/table1.toml\n  nodulus experiment pipelines/table3.toml --out table3.md --set train.seed=2\n\nRows that are done are not done again (docs/experiments.md)."
    )]
    Experiment(ExperimentArguments),
    /// Train a model for each fold, score each on the patients that it did not see, and all of them
    /// together on the test patients
    #[command(
        after_help = "Example:\n  nodulus cross-validate pipelines/demo.toml --set balance.folds=5"
    )]
    CrossValidate(CrossValidateArguments),
    /// Say what exists, what is stale and why
    #[command(after_help = "Example:\n  nodulus status pipelines/demo.toml")]
    Status(StatusArguments),
    /// List the tables: name, rows, and a pattern for DuckDB, polars and pandas
    #[command(
        after_help = "Example:\n  nodulus tables --store store/demo\n  duckdb -cmd \"$(nodulus tables --store store/demo --sql)\""
    )]
    Tables(TablesArguments),
    /// Show the first rows of a table
    #[command(
        after_help = "Example:\n  nodulus show nodules --store store/demo --where patient_id=LIDC-IDRI-0001"
    )]
    Show(ShowArguments),
    /// Ask the tables in SQL
    #[command(
        after_help = "Example:\n  nodulus sql \"SELECT cohort, count(*) AS nodules FROM nodules GROUP BY cohort\" --store store/demo\n  nodulus sql \"SELECT * FROM summary WHERE metric = 'dice'\" --store store/demo --format parquet --out dice.parquet\n\nTables go by their names (`nodulus tables`), columns by theirs (`nodulus schema TABLE`). The dialect is polars': docs/query.md."
    )]
    Sql(SqlArguments),
    /// Follow a table back to the source files and their hashes
    #[command(after_help = "Example:\n  nodulus lineage summary --store store/demo")]
    Lineage(LineageArguments),
    /// Print the columns of a table, or write the schemas of all
    #[command(after_help = "Example:\n  nodulus schema nodules\n  nodulus schema --write schemas")]
    Schema(SchemaArguments),
    /// Write what others read: LUNA16's files, or nodules' regions
    #[command(
        subcommand_required = true,
        arg_required_else_help = true,
        after_help = "Example:\n  nodulus export rois --store store/demo --to nifti --out out/nifti\n  nodulus export luna16 --store store/demo --cohort luna16 --out out/luna16"
    )]
    Export(ExportArguments),
    /// Draw nodules with their outlines on contact sheets
    #[command(
        after_help = "Example:\n  nodulus montage --store store/demo --cohort clinical --out out/montage\n  nodulus montage --store store/demo --cohort luna16 --out out/slices --what slices --window=-1350,150"
    )]
    Montage(MontageArguments),
    /// Match two tables of nodules one to one, and say where they differ
    #[command(
        after_help = "Example:\n  nodulus compare-nodules store/luna16 /data/luna16/annotations.csv --min-marks 3\n  nodulus compare-nodules store/demo store/demo --cohort lidc --cohort luna16\n\nA store stands for its current `nodules`. Exit status: 0 compared, different or not, 1 stopped by an error, 2 usage."
    )]
    CompareNodules(CompareNodulesArguments),
    /// Print every metric of a predicted mask against a reference mask
    #[command(
        after_help = "Example:\n  nodulus metrics reference.nii.gz prediction.nii.gz\n  nodulus metrics segmentation.dcm prediction.mha --label 2 --json\n\nBoth masks must be on the same voxels. Undefined metrics are `-`, or null in JSON (docs/metrics.md)."
    )]
    Metrics(MetricsArguments),
    /// Measure a detector as LUNA16 does: sensitivity by false positives a scan
    #[command(
        after_help = "Example:\n  nodulus froc --reference annotations.csv --excluded annotations_excluded.csv --seriesuids seriesuids.csv --candidates submission.csv"
    )]
    Froc(FrocArguments),
    /// Score what is new in a folder that scans arrive in: the nightly job
    #[command(
        args_conflicts_with_subcommands = true,
        arg_required_else_help = true,
        after_help = "Example:\n  nodulus score pipelines/score.toml\n  nodulus score pipelines/score.toml --max-minutes 360 --log json\n  nodulus score status pipelines/score.toml\n\nExit status: 0 all well, 1 stopped by an error, 2 usage, 3 finished with scans that failed (docs/nightly.md)."
    )]
    Score(ScoreArguments),
    /// Write a synthetic cohort in the real formats, with known truth
    #[command(after_help = "Example:\n  nodulus phantom data/phantom --seed 1 --patients 8")]
    Phantom(PhantomArguments),
    /// Check files against a data manifest: presence, size, SHA-256
    #[command(
        after_help = "Example:\n  nodulus verify data-manifests/luna16.toml --root data/luna16\n\nExit status: 0 all there, 1 stopped by an error, 2 usage, 3 something is missing or wrong."
    )]
    Verify(VerifyArguments),
    /// Print a shell's completions
    #[command(after_help = "Example:\n  nodulus completions bash > /etc/bash_completion.d/nodulus")]
    Completions(CompletionsArguments),
}

impl Command {
    /// The stage that a command runs alone.
    pub(super) const fn stage(&self) -> Option<(Stage, &RunArguments)> {
        Some(match self {
            Self::Ingest(arguments) => (Stage::Ingest, arguments),
            Self::Merge(arguments) => (Stage::Merge, arguments),
            Self::Agree(arguments) => (Stage::Agree, arguments),
            Self::Crop(arguments) => (Stage::Crop, arguments),
            Self::Balance(arguments) => (Stage::Balance, arguments),
            Self::Train(arguments) => (Stage::Train, arguments),
            Self::Infer(arguments) => (Stage::Infer, arguments),
            Self::Evaluate(arguments) => (Stage::Evaluate, arguments),
            Self::Report(arguments) => (Stage::Report, arguments),
            _ => return None,
        })
    }
}

/// A pipeline file and changes to it.
#[derive(Debug, Args)]
pub(super) struct PipelineArguments {
    /// Pipeline file
    pub(super) pipeline: PathBuf,
    /// Folder of the store, in place of the pipeline file's
    #[arg(long, value_name = "DIR")]
    pub(super) store: Option<PathBuf>,
    /// A setting in place of the pipeline file's; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub(super) pipeline: PipelineArguments,
    /// Run a stage again even where nothing changed; may be given again
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    pub(super) force: Vec<Stage>,
    /// Say what would run and which files of volumes go together, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) means: MeansArguments,
}

/// What a run may use, and how it tells what it does.
#[derive(Debug, Args)]
pub(super) struct MeansArguments {
    /// Threads; all cores where not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: Option<u16>,
    /// Memory for the voxels of scans that are read at once, as in 8GiB or 900MiB; a scan that needs
    /// more fails alone
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = bytes)]
    pub(super) max_memory: u64,
    /// Where networks run: cpu, cuda:N for a card, or auto for the first card that works
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(super) device: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) progress: ProgressStyle,
}

#[derive(Debug, Args)]
pub(super) struct ExperimentArguments {
    /// Experiment file: rows over one pipeline file
    pub(super) experiment: PathBuf,
    /// Folder of the store, in place of the experiment file's
    #[arg(long, value_name = "DIR")]
    pub(super) store: Option<PathBuf>,
    /// A setting of every row's pipeline, in place of the files'; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// Write the table as Markdown, too
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) means: MeansArguments,
}

#[derive(Debug, Args)]
pub(super) struct CrossValidateArguments {
    #[command(flatten)]
    pub(super) pipeline: PipelineArguments,
    #[command(flatten)]
    pub(super) means: MeansArguments,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressStyle {
    /// A bar on a terminal, lines elsewhere
    Auto,
    /// A bar
    Bar,
    /// A line every few seconds
    Log,
    /// Nothing
    None,
}

#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    pub(super) pipeline: PipelineArguments,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct TablesArguments {
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    pub(super) store: PathBuf,
    /// Print SQL that makes each table a view of its name, for DuckDB
    #[arg(long, conflicts_with = "json")]
    pub(super) sql: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// Table
    pub(super) table: String,
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    pub(super) store: PathBuf,
    /// Rows with this value in a column; may be given again
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    pub(super) filters: Vec<String>,
    /// Columns, by comma; all but pixels where not given
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub(super) columns: Vec<String>,
    /// Rows
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) rows: u32,
    /// Print JSON, a row a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct LineageArguments {
    /// Table, `checkpoint` or `report`
    pub(super) table: String,
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    pub(super) store: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArguments {
    /// Table; all where not given
    pub(super) table: Option<String>,
    /// Write `TABLE.json` for each table into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "table")]
    pub(super) write: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CompareNodulesArguments {
    /// Store, Parquet file or folder of them with the columns of `nodules`, or CSV file with
    /// those of LUNA16's `annotations.csv`
    pub(super) a: PathBuf,
    /// The same, for the other side
    pub(super) b: PathBuf,
    /// Leave out nodules with fewer marks, where a table has them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub(super) min_marks: Option<i64>,
    /// Cohort, where a table has them; given twice, A's and then B's
    #[arg(long = "cohort", value_name = "NAME")]
    pub(super) cohorts: Vec<String>,
    /// Unmatched nodules that are listed of each side; 0 lists all, as `--json` does
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) list: usize,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct MetricsArguments {
    /// Reference mask: NIfTI, MetaImage or DICOM SEG
    pub(super) reference: PathBuf,
    /// Predicted mask: NIfTI, MetaImage or DICOM SEG
    pub(super) prediction: PathBuf,
    /// Voxels with this value, or the segment of this number, make up the masks; all but 0, or every segment, where not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) label: Option<u16>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct FrocArguments {
    /// Nodules, as LUNA16's `annotations.csv`
    #[arg(long, value_name = "FILE")]
    pub(super) reference: PathBuf,
    /// Other findings, as LUNA16's `annotations_excluded.csv`; without it no detection is ignored
    #[arg(long, value_name = "FILE")]
    pub(super) excluded: Option<PathBuf>,
    /// Scans, as LUNA16's `seriesuids.csv`
    #[arg(long, value_name = "FILE")]
    pub(super) seriesuids: PathBuf,
    /// Submission: seriesuid, coordX, coordY, coordZ, probability
    #[arg(long, value_name = "FILE")]
    pub(super) candidates: PathBuf,
    /// Decides the bootstrap's resamples
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct PhantomArguments {
    /// Folder to write to
    pub(super) out: PathBuf,
    /// Decides everything; the same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Patients in the LIDC-style and LUNA16-style parts, which show the same scans
    #[arg(long, default_value_t = 8)]
    pub(super) patients: usize,
    /// Patients in the clinical part
    #[arg(long, default_value_t = 4)]
    pub(super) clinical_patients: usize,
    /// Columns and rows of a slice
    #[arg(long)]
    pub(super) size: Option<usize>,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) progress: ProgressStyle,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// Data manifest
    pub(super) manifest: PathBuf,
    /// Folder with the files
    #[arg(long, value_name = "DIR")]
    pub(super) root: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) progress: ProgressStyle,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// Shell
    #[arg(value_enum)]
    pub(super) shell: clap_complete::Shell,
}

fn stage(name: &str) -> Result<Stage, String> {
    Stage::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Stage::ALL.iter().map(|stage| stage.name()).collect();
        format!("there is no such stage; there are: {}", names.join(", "))
    })
}

/// A number of bytes with a unit: B, KiB, MiB, GiB, TiB, or K, M, G, T for the same.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return Err("expected a size as in 8GiB or 900MiB".to_owned()),
    };
    let number: u64 =
        number.parse().map_err(|_| "expected a size as in 8GiB or 900MiB".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "more bytes than there can be".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(bytes("4GiB"), Ok(4 << 30));
        assert_eq!(bytes("900M"), Ok(900 << 20));
        assert_eq!(bytes("12"), Ok(12));
        assert!(bytes("GiB").is_err() && bytes("4GB").is_err() && bytes("99999999T").is_err());
    }
}
