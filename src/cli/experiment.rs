//! `nodulus experiment` and `nodulus cross-validate`.

use super::error::{Error, Outcome};
use super::pipeline_arguments::{PipelineArguments, TrainingPatientsArgument};
use super::progress::ProgressLine;
use super::resources::ResourceArguments;
use super::run_outcome::{report, warnings};
use super::{format, resources};
use crate::pipeline::experiment::{self, Cell, Experiment, Line, LineKind, METRICS, Means};
use crate::pipeline::runner;
use clap::Args;
use nodulus_pages::text::counted;
use nodulus_store::{Store, durable};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct ExperimentArguments {
    /// Experiment file: rows over one pipeline file
    experiment: PathBuf,
    /// Folder of the store; overrides the experiment file
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Setting of every row that overrides the files'; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Also write the table as Markdown
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    training_patients: TrainingPatientsArgument,
    #[command(flatten)]
    resources: ResourceArguments,
}

#[derive(Debug, Args)]
pub(super) struct CrossValidateArguments {
    #[command(flatten)]
    pipeline: PipelineArguments,
    #[command(flatten)]
    training_patients: TrainingPatientsArgument,
    #[command(flatten)]
    resources: ResourceArguments,
}

/// Runs an experiment file.
pub(super) fn experiment(
    arguments: &ExperimentArguments,
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    let mut experiment = Experiment::read(&arguments.experiment)?;
    if let Some(store) = &arguments.store {
        store.clone_into(&mut experiment.store);
    }
    let sets = arguments.training_patients.sets(&arguments.sets, "infer");
    let Finished { lines, warnings, outcome } = run(&experiment, &sets, &arguments.resources, out)?;
    if let Some(path) = &arguments.out {
        durable::write(path, markdown(&experiment, &lines, &warnings).as_bytes())?;
    }
    Ok(outcome)
}

/// Cross-validates a pipeline's model.
pub(super) fn cross_validate(
    arguments: &CrossValidateArguments,
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    let pipeline = &arguments.pipeline;
    let sets = arguments.training_patients.sets(&pipeline.sets, "infer");
    let experiment =
        Experiment::cross_validation(&pipeline.pipeline, &sets, pipeline.store.as_deref())?;
    Ok(run(&experiment, &sets, &arguments.resources, out)?.outcome)
}

/// A finished experiment.
struct Finished {
    lines: Vec<Line>,
    /// What a reader of the table has to know.
    warnings: Vec<String>,
    outcome: Outcome,
}

fn run(
    experiment: &Experiment,
    sets: &[String],
    resources: &ResourceArguments,
    out: &mut dyn Write,
) -> Result<Finished, Error> {
    // What is wrong with any row is said before anything is written.
    let shared = experiment.check(sets)?;
    let progress = ProgressLine::new(resources.progress);
    let device = resources::start(resources, &progress)?;
    let store = Store::create(&experiment.store)?;
    let _lock = store.lock()?;
    resources::write_phantom(shared.phantom.as_ref(), &store, &progress)?;
    let show = |event| resources::show(&progress, event);
    let means = Means {
        sets,
        store: &store,
        device: &device,
        max_memory: resources.max_memory,
        progress: &show,
    };
    let lines = experiment::run(experiment, &means)?;
    progress.clear();
    let n_failures = runner::n_failures(&store)?;
    let report = report(&store)?;
    let warnings = warnings(&store)?;
    if resources.json {
        let value = json!({
            "title": experiment.title,
            "store": store.root(),
            "rows": lines,
            "report": report,
            "warnings": warnings,
            "n_failures": n_failures,
        });
        serde_json::to_writer_pretty(&mut *out, &value)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}\n", experiment.title)?;
        writeln!(out, "{}", format::table(&head(), lines.iter().flat_map(text)))?;
        writeln!(
            out,
            "\n* best of its column, in 2D or in 3D; mean [95% interval by patient] over the slices or nodules that have \
             a value"
        )?;
        if has_seeds(&lines) {
            writeln!(out, "{OF_SEEDS}")?;
        }
        for warning in &warnings {
            writeln!(out, "warning: {warning}")?;
        }
        if let Some(report) = report {
            writeln!(out, "\nreport  {}", report.display())?;
        }
        if n_failures > 0 {
            let root = format::shell(store.root());
            let cases = counted(n_failures, "case", "cases");
            writeln!(out, "\n{cases} failed: nodulus show failures --store {root}")?;
        }
    }
    let outcome = if n_failures > 0 { Outcome::FailedCases } else { Outcome::Success };
    Ok(Finished { lines, warnings, outcome })
}

/// What a row of several seeds holds.
const OF_SEEDS: &str =
    "± standard deviation between seeds; a row's nodule has the mean of its values over the seeds";

fn has_seeds(lines: &[Line]) -> bool {
    lines.iter().any(|line| line.kind == LineKind::Seed)
}

fn head() -> Vec<&'static str> {
    let names = METRICS.iter().map(|metric| metric.name());
    ["model", "over", "n", "missed"].into_iter().chain(names).chain(["p (Dice, to best)"]).collect()
}

/// What the rows of a line measure.
const SLICES: &str = "slices, 2D";
const NODULES: &str = "nodules, 3D";

/// The name of a line.
fn name(line: &Line) -> String {
    match line.kind {
        LineKind::Row | LineKind::Seed => line.model_id.clone(),
        LineKind::Baseline => "region growing (baseline)".to_owned(),
        LineKind::Readers => "each reader against the others (ceiling)".to_owned(),
    }
}

/// A line: its slices in 2D, under them the paper's figures on its own data, where there are some, and its nodules in 3D.
fn text(line: &Line) -> Vec<Vec<String>> {
    let cell = |cell: &Cell| {
        let mark = if cell.is_best { " *" } else { "" };
        format!("{}{mark}", with_interval(cell))
    };
    let paper =
        |figures: Vec<Option<f64>>| figures.into_iter().map(format::number).collect::<Vec<_>>();
    rows(line, cell, "  the paper's, on its data", paper)
}

/// The rows of a line in a table: see [`text`].
fn rows(
    line: &Line,
    cell: impl Fn(&Cell) -> String,
    of_paper: &str,
    paper: impl Fn(Vec<Option<f64>>) -> Vec<String>,
) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let head = |over: &str, n: [i64; 2]| {
        [name(line), over.to_owned()].into_iter().chain(n.map(|n| n.to_string()))
    };
    if !line.slice_cells.is_empty() {
        let head = head(SLICES, [line.n_slices, line.n_missed_slices]);
        rows.push(head.chain(line.slice_cells.iter().map(&cell)).chain([String::new()]).collect());
    }
    let figures: Vec<Option<f64>> = line.slice_cells.iter().map(|cell| cell.paper).collect();
    if figures.iter().any(Option::is_some) {
        let head = [of_paper, SLICES, "", ""].map(str::to_owned).into_iter();
        rows.push(head.chain(paper(figures)).chain([String::new()]).collect());
    }
    let p = match (line.p_against_best, &line.p_missing_reason) {
        (Some(p), _) if p < 0.0005 => "< 0.001".to_owned(),
        (Some(p), _) => format!("{p:.3}"),
        (None, Some(reason)) => reason.clone(),
        (None, None) => String::new(),
    };
    let head = head(NODULES, [line.n_nodules, line.n_missed]);
    rows.push(head.chain(line.cells.iter().map(&cell)).chain([p]).collect());
    rows
}

/// The mean with its interval, or why there is none, and the spread between seeds.
fn with_interval(cell: &Cell) -> String {
    let spread = cell.seed_sd.map_or(String::new(), |sd| format!(" ± {sd:.3}"));
    format!("{}{spread}", mean_with_interval(cell))
}

fn mean_with_interval(cell: &Cell) -> String {
    let mean = format::number(cell.mean);
    match (cell.interval, &cell.ci_missing_reason) {
        (Some([low, high]), _) => format!("{mean} [{low:.3}, {high:.3}]"),
        (None, Some(reason)) if cell.mean.is_some() => format!("{mean} [{reason}]"),
        (None, _) => mean,
    }
}

/// The table as Markdown: the best of each column in bold, the paper's figures in italics, the warnings below.
fn markdown(experiment: &Experiment, lines: &[Line], warnings: &[String]) -> String {
    let rule = format!("--- | ---{}", " | ---:".repeat(METRICS.len() + 3));
    let mut text = vec![head().join(" | "), rule];
    for line in lines {
        let cell = |cell: &Cell| {
            let value = with_interval(cell);
            if cell.is_best { format!("**{value}**") } else { value }
        };
        let paper = |figures: Vec<Option<f64>>| {
            let figure =
                |figure: Option<f64>| figure.map_or(String::new(), |f| format!("*{f:.3}*"));
            figures.into_iter().map(figure).collect()
        };
        let of_paper = format!("*the paper's {}, on its data*", line.model_id);
        text.extend(rows(line, cell, &of_paper, paper).iter().map(|row| row.join(" | ")));
    }
    let warnings: Vec<String> =
        warnings.iter().map(|warning| format!("\n**Warning:** {warning}.\n")).collect();
    let of_seeds = if has_seeds(lines) { format!("\n{OF_SEEDS}.\n") } else { String::new() };
    let table = text.join(" |\n| ");
    format!("**{}**\n\n| {table} |\n{of_seeds}{}", experiment.title, warnings.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_papers_figures_stand_apart_and_the_best_is_bold() {
        let experiment = Experiment {
            title: "T".to_owned(),
            pipeline: "p.toml".into(),
            store: "s".into(),
            set: BTreeMap::new(),
            folds: false,
            seeds: None,
            rows: Vec::new(),
            file: None,
        };
        let cells = METRICS.map(|metric| Cell {
            metric: metric.name(),
            mean: Some(0.5),
            interval: Some([0.25, 0.75]),
            ci_missing_reason: None,
            n_valid: 3,
            is_best: metric.name() == "dice",
            seed_means: Vec::new(),
            seed_sd: None,
            paper: (metric.name() == "dice").then_some(0.801),
        });
        let of_nodules = cells.clone().map(|cell| Cell { paper: None, ..cell });
        let line = Line {
            model_id: "m".to_owned(),
            kind: LineKind::Row,
            seed: None,
            n_slices: 9,
            n_missed_slices: 2,
            slice_cells: cells.clone().into(),
            n_nodules: 4,
            n_missed: 1,
            cells: of_nodules.into(),
            p_against_best: Some(0.0312),
            p_missing_reason: None,
            doubts: Vec::new(),
        };
        let mut untested = line.clone();
        (untested.p_against_best, untested.p_missing_reason) = (None, Some("few".to_owned()));
        untested.cells[0].interval = None;
        untested.cells[0].ci_missing_reason = Some("few".to_owned());
        let warnings =
            ["`m`: 1 of 4 nodules are of patients that the weights learnt from".to_owned()];
        let text = markdown(&experiment, &[line, untested], &warnings);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "**T**");
        assert_eq!(lines[2].matches('|').count(), lines[3].matches('|').count());
        assert!(lines[4].starts_with(
            "| m | slices, 2D | 9 | 2 | 0.500 [0.250, 0.750] | 0.500 [0.250, 0.750] | **0.500 ["
        ));
        assert!(lines[6].ends_with(" | 0.031 |"), "{}", lines[6]);
        assert!(lines[6].starts_with("| m | nodules, 3D | 4 | 1 | 0.500"), "{}", lines[6]);
        assert!(
            lines[5]
                .starts_with("| *the paper's m, on its data* | slices, 2D |  |  |  |  | *0.801* |"),
            "{}",
            lines[5]
        );
        assert_eq!(lines[4].matches('|').count(), lines[5].matches('|').count());
        assert!(
            lines[9].starts_with("| m | nodules, 3D | 4 | 1 | 0.500 [few] | 0.500 ["),
            "{text}"
        );
        assert!(lines[9].ends_with(" | few |"), "{text}");
        assert_eq!(lines[11], format!("**Warning:** {}.", warnings[0]));
        assert_eq!(lines.len(), 12);
    }

    #[test]
    fn a_mean_over_seeds_shows_the_spread_between_them() {
        let cell = Cell {
            metric: "dice",
            mean: Some(0.705),
            interval: Some([0.664, 0.76]),
            ci_missing_reason: None,
            n_valid: 67,
            is_best: true,
            seed_means: vec![Some(0.69), Some(0.72)],
            seed_sd: Some(0.0212),
            paper: None,
        };
        assert_eq!(with_interval(&cell), "0.705 [0.664, 0.760] ± 0.021");
        let of_one = Cell { seed_means: Vec::new(), seed_sd: None, ..cell };
        assert_eq!(with_interval(&of_one), "0.705 [0.664, 0.760]");
    }
}
