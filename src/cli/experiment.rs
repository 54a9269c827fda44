//! `nodulus experiment` and `nodulus cross-validate`.

use super::error::{Error, Outcome};
use super::pipeline_arguments::{PipelineArguments, TrainingPatientsArgument};
use super::progress::Progress;
use super::resources::ResourceArguments;
use super::run_outcome::{report, warnings};
use super::{format, resources};
use crate::pipeline::experiment::{self, Cell, Experiment, Line, METRICS, Means};
use crate::pipeline::runner;
use clap::Args;
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
    let (lines, outcome) = run(&experiment, &sets, &arguments.resources, out)?;
    if let Some(path) = &arguments.out {
        durable::write(path, markdown(&experiment, &lines).as_bytes())?;
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
    Ok(run(&experiment, &sets, &arguments.resources, out)?.1)
}

fn run(
    experiment: &Experiment,
    sets: &[String],
    resources: &ResourceArguments,
    out: &mut dyn Write,
) -> Result<(Vec<Line>, Outcome), Error> {
    // What is wrong with any row is said before anything is written.
    let shared = experiment.check(sets)?;
    let progress = Progress::new(resources.progress);
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
            "\n* best of its column; mean [95% interval by patient] over the nodules that have a value"
        )?;
        for warning in warnings {
            writeln!(out, "warning: {warning}")?;
        }
        if let Some(report) = report {
            writeln!(out, "\nreport  {}", report.display())?;
        }
        if n_failures > 0 {
            let root = store.root().display();
            writeln!(out, "\n{n_failures} cases failed: nodulus show failures --store {root}")?;
        }
    }
    Ok((lines, if n_failures > 0 { Outcome::FailedCases } else { Outcome::Success }))
}

fn head() -> Vec<&'static str> {
    let names = METRICS.iter().map(|metric| metric.name());
    ["model", "nodules", "missed"].into_iter().chain(names).chain(["p (Dice, to best)"]).collect()
}

/// A line, and under it the paper's figures on its own data, where there are some.
fn text(line: &Line) -> Vec<Vec<String>> {
    let cell = |cell: &Cell| {
        let mark = if cell.is_best { " *" } else { "" };
        format!("{}{mark}", with_interval(cell))
    };
    let mut rows = vec![row(line, cell)];
    if line.cells.iter().any(|cell| cell.paper.is_some()) {
        let figures = line.cells.iter().map(|cell| format::number(cell.paper));
        let ends = [String::new(), String::new()];
        let head = ["  the paper's, on its data".to_owned()].into_iter().chain(ends);
        rows.push(head.chain(figures).chain([String::new()]).collect());
    }
    rows
}

fn row(line: &Line, cell: impl Fn(&Cell) -> String) -> Vec<String> {
    let numbers = [line.n_nodules, line.n_missed].map(|n| n.to_string());
    let p = line.p_against_best.map_or(String::new(), |p| match p {
        p if p < 0.0005 => "< 0.001".to_owned(),
        p => format!("{p:.3}"),
    });
    let head = [line.model_id.clone()].into_iter().chain(numbers);
    head.chain(line.cells.iter().map(cell)).chain([p]).collect()
}

fn with_interval(cell: &Cell) -> String {
    let mean = format::number(cell.mean);
    cell.interval.map_or(mean.clone(), |[low, high]| format!("{mean} [{low:.3}, {high:.3}]"))
}

/// The table as Markdown: the best of each column in bold, the paper's figures in italics.
fn markdown(experiment: &Experiment, lines: &[Line]) -> String {
    let mut rows =
        vec![head().join(" | "), format!("---|{}---:", "---:|".repeat(METRICS.len() + 2))];
    for line in lines {
        let cell = |cell: &Cell| {
            let value = with_interval(cell);
            if cell.is_best { format!("**{value}**") } else { value }
        };
        rows.push(row(line, cell).join(" | "));
        if line.cells.iter().any(|cell| cell.paper.is_some()) {
            let figure =
                |cell: &Cell| cell.paper.map_or(String::new(), |figure| format!("*{figure:.3}*"));
            let figures: Vec<String> = line.cells.iter().map(figure).collect();
            let name = format!("*the paper's {}, on its data*", line.model_id);
            rows.push(format!("{name} | | | {} | ", figures.join(" | ")));
        }
    }
    format!("**{}**\n\n| {} |\n", experiment.title, rows.join(" |\n| "))
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
            rows: Vec::new(),
            file: None,
        };
        let cells = METRICS.map(|metric| Cell {
            metric: metric.name(),
            mean: Some(0.5),
            interval: Some([0.25, 0.75]),
            n_valid: 3,
            is_best: metric.name() == "dice",
            paper: (metric.name() == "dice").then_some(0.801),
        });
        let line = Line {
            model_id: "m".to_owned(),
            n_nodules: 4,
            n_missed: 1,
            cells: cells.into(),
            p_against_best: Some(0.0312),
        };
        let text = markdown(&experiment, &[line]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "**T**");
        assert_eq!(lines[2].matches('|').count(), lines[3].matches('|').count());
        assert!(
            lines[4].starts_with(
                "| m | 4 | 1 | 0.500 [0.250, 0.750] | 0.500 [0.250, 0.750] | **0.500 ["
            )
        );
        assert!(lines[4].ends_with(" | 0.031 |"), "{}", lines[4]);
        assert!(
            lines[5].starts_with("| *the paper's m, on its data* | | |  |  | *0.801* |"),
            "{}",
            lines[5]
        );
        assert_eq!(lines[4].matches('|').count(), lines[5].matches('|').count());
    }
}
