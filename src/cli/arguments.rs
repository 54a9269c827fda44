//! The list of commands.

use super::candidates::CandidatesArguments;
use super::compare_nodules::CompareNodulesArguments;
use super::completions::CompletionsArguments;
use super::experiment::{CrossValidateArguments, ExperimentArguments};
use super::export::ExportArguments;
use super::froc::FrocArguments;
use super::fsck::FsckArguments;
use super::gc::GcArguments;
use super::lineage::LineageArguments;
use super::metrics::MetricsArguments;
use super::montage::MontageArguments;
use super::phantom::PhantomArguments;
use super::plan::PlanArguments;
use super::plot_marks::PlotMarksArguments;
use super::run::RunArguments;
use super::schema::SchemaArguments;
use super::score::ScoreArguments;
use super::show::ShowArguments;
use super::sql::SqlArguments;
use super::stage_command::StageCommand;
use super::status::StatusArguments;
use super::submit::SubmitArguments;
use super::tables::TablesArguments;
use super::verify::VerifyArguments;
use super::work::{CommitArguments, WorkArguments};
use clap::{Parser, Subcommand};

/// From lung CT and radiologists' marks to trained, audited, evaluated nodule segmentation.
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
        after_help = "Example:\n  nodulus run pipelines/demo.toml\n  nodulus run pipelines/demo.toml --set crop.margin_slices=2 --dry-run\n  nodulus run pipelines/demo.toml --to balance\n  nodulus run pipelines/demo.toml --keep train\n\nOf a cohort that grows, only shards with new cases are made (docs/growth.md).\n\nExit status: 0 success, 1 stopped by an error, 2 wrong usage, 3 finished with failed cases."
    )]
    Run(RunArguments),
    /// One stage alone
    #[command(flatten)]
    Stage(StageCommand),
    /// Freeze cases, shards and settings, so that several machines can work on them
    #[command(
        after_help = "Example:\n  nodulus plan pipelines/demo.toml --to balance -o plan.json\n\nThen `nodulus work` makes shards and `nodulus commit` a stage of them, stage after stage (docs/cluster.md)."
    )]
    Plan(PlanArguments),
    /// Make one shard of a plan's stage
    #[command(
        after_help = "Example:\n  nodulus work --plan plan.json --stage crop --shard 0\n\nExit status: 0 done, 1 stopped by an error, 2 wrong usage, 3 done with failed cases, 75 not done, try again."
    )]
    Work(WorkArguments),
    /// Submit the jobs of a plan to Slurm: for each stage an array, and a commit after it
    #[command(
        after_help = "Example:\n  nodulus submit --plan plan.json --dry-run\n  nodulus submit --plan plan.json --sbatch=--partition=main --sbatch-train=--gres=gpu:1 --device auto\n\nOnly shards that are not made and not being made are submitted, so it may be repeated (docs/cluster.md)."
    )]
    Submit(SubmitArguments),
    /// Make the tables of a plan's stage current, once all of its shards are made
    #[command(
        after_help = "Example:\n  nodulus commit --plan plan.json --stage crop\n\nExit status: 0 done, 1 stopped by an error, 2 wrong usage, 3 done with failed cases, 75 shards are missing: they are named, with the causes that their workers left."
    )]
    Commit(CommitArguments),
    /// Train, predict and evaluate each row of an experiment, and print its table
    #[command(
        after_help = "Example:\n  nodulus experiment pipelines/table1.toml\n  nodulus experiment pipelines/table3.toml --out table3.md --set train.seed=2\n\nFinished rows are not run again (docs/experiments.md)."
    )]
    Experiment(ExperimentArguments),
    /// Train a model for each fold, evaluate each on the patients it was not trained on, and all together on the test
    /// patients
    #[command(
        after_help = "Example:\n  nodulus cross-validate pipelines/demo.toml --set balance.folds=5"
    )]
    CrossValidate(CrossValidateArguments),
    /// Print which tables exist, which are stale and why, and what a run would do
    #[command(
        after_help = "Example:\n  nodulus status pipelines/demo.toml\n  nodulus status --plan plan.json"
    )]
    Status(StatusArguments),
    /// List the tables: name, rows, and a file pattern for DuckDB and polars; pandas and pyarrow read the folder
    #[command(
        after_help = "Example:\n  nodulus tables --store store/demo\n  duckdb -cmd \"$(nodulus tables --store store/demo --sql)\"\n  nodulus tables --store store/demo --version 1f0c3a5b7d9e2468"
    )]
    Tables(TablesArguments),
    /// Print the first rows of a table
    #[command(
        after_help = "Example:\n  nodulus show nodules --store store/demo --where patient_id=LIDC-IDRI-0001"
    )]
    Show(ShowArguments),
    /// Query the tables with SQL
    #[command(
        after_help = "Example:\n  nodulus sql \"SELECT cohort, count(*) AS nodules FROM nodules GROUP BY cohort\" --store store/demo\n  nodulus sql \"SELECT * FROM summary WHERE metric = 'dice'\" --store store/demo --format parquet --out dice.parquet\n\n`nodulus tables` lists the tables, `nodulus schema TABLE` the columns. docs/query.md lists what is answered; the rest is refused, with the line that asks DuckDB."
    )]
    Sql(SqlArguments),
    /// Trace a table back to the source files and their hashes
    #[command(after_help = "Example:\n  nodulus lineage summary --store store/demo")]
    Lineage(LineageArguments),
    /// Remove versions and shards of tables that nothing current or kept needs
    #[command(
        after_help = "Example:\n  nodulus gc --store store/demo --dry-run\n  nodulus gc --store store/demo --keep 1\n\nKept are the current version of each table, the N newest others, and all that these were made from."
    )]
    Gc(GcArguments),
    /// Compare every file of a store with its record; set damaged ones aside
    #[command(
        after_help = "Example:\n  nodulus fsck store/demo\n  nodulus fsck --repair store/demo && nodulus run pipelines/demo.toml\n\nExit status: 0 all files are as recorded, 1 stopped by an error, 2 wrong usage, 3 a file is missing or damaged, also where it was set aside (docs/reliability.md)."
    )]
    Fsck(FsckArguments),
    /// Print the columns of a table, or write the schemas of all tables
    #[command(after_help = "Example:\n  nodulus schema nodules\n  nodulus schema --write schemas")]
    Schema(SchemaArguments),
    /// Write files for other programs: regions, LUNA16's tables, or outlines as DICOM
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
    /// Draw what each reader marked of a series' nodules, as SVG and PNG
    #[command(
        after_help = "Example:\n  nodulus plot-marks --store store/lidc-annotations --series 1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192 --out out/marks\n\nThe slice is shown where the store has `rois`; without images, the marks are drawn on a grid of pixels."
    )]
    PlotMarks(PlotMarksArguments),
    /// Match two tables of nodules one to one, and print the differences
    #[command(
        after_help = "Example:\n  nodulus compare-nodules store/luna16 /data/luna16/annotations.csv --min-marks 3\n  nodulus compare-nodules store/demo store/demo --cohort lidc --cohort luna16\n\nA store stands for its current `nodules`. Exit status: 0 compared, equal or not, 1 stopped by an error, 2 wrong usage."
    )]
    CompareNodules(CompareNodulesArguments),
    /// Print every metric of a predicted mask against a reference mask
    #[command(
        after_help = "Example:\n  nodulus metrics reference.nii.gz prediction.nii.gz\n  nodulus metrics segmentation.dcm prediction.mha --label 2 --json\n\nBoth masks must have the same voxel grid. Undefined metrics are `-`, or null in JSON (docs/metrics.md)."
    )]
    Metrics(MetricsArguments),
    /// Measure a detector as LUNA16 does: sensitivity by false positives per scan
    #[command(
        after_help = "Example:\n  nodulus froc --reference annotations.csv --excluded annotations_excluded.csv --seriesuids seriesuids.csv --candidates submission.csv"
    )]
    Froc(FrocArguments),
    /// Convert a detector's results to a table of candidates, which `score` reads
    #[command(
        after_help = "Example:\n  nodulus candidates --from monai result.json --input scans --out candidates/candidates.csv --seriesuids candidates/seriesuids.csv\n  nodulus candidates --from nndetection test_predictions --input scans --out candidates/candidates.csv --min-probability 0.3\n\nExit status: 0 all detections are of scans of the input, 1 stopped by an error, 2 wrong usage, 3 an image was left out, or a detection lies outside its scan (docs/detectors.md)."
    )]
    Candidates(CandidatesArguments),
    /// Score new scans of an input folder: the nightly job
    #[command(
        args_conflicts_with_subcommands = true,
        arg_required_else_help = true,
        after_help = "Example:\n  nodulus score pipelines/score.toml\n  nodulus score pipelines/score.toml --max-minutes 360 --log json\n  nodulus score status pipelines/score.toml\n\nExit status: 0 success, 1 stopped by an error, 2 wrong usage, 3 finished with failed scans (docs/nightly.md)."
    )]
    Score(ScoreArguments),
    /// Write a synthetic cohort in the real formats, with known true values
    #[command(after_help = "Example:\n  nodulus phantom data/phantom --seed 1 --patients 8")]
    Phantom(PhantomArguments),
    /// Check files against a data manifest: presence, size, SHA-256
    #[command(
        after_help = "Example:\n  nodulus verify data-manifests/luna16.toml --root data/luna16\n\nExit status: 0 all files are correct, 1 stopped by an error, 2 wrong usage, 3 a file is missing or wrong."
    )]
    Verify(VerifyArguments),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  nodulus completions bash > /etc/bash_completion.d/nodulus")]
    Completions(CompletionsArguments),
}
