//! `nodulus compare-nodules`.

use super::error::{Error, Outcome};
use super::format;
use super::numbers;
use crate::compare::nodule_table;
use crate::compare::nodules::{
    Coordinates, NoduleComparison, SAME_MM, Shared, Spread, UnmatchedNodule, compare,
};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct CompareNodulesArguments {
    /// Store, Parquet file or folder of Parquet files with the columns of `nodules`, or CSV file with the columns
    /// of LUNA16's `annotations.csv`
    a: PathBuf,
    /// The table to compare with, of the same kinds
    b: PathBuf,
    /// Compare only nodules with at least this many marks, where a table has numbers of marks
    #[arg(long, value_name = "N", value_parser = numbers::whole::<i64>(1, 1000))]
    min_marks: Option<i64>,
    /// Cohort, where a table has cohorts; given twice: of A, then of B
    #[arg(long = "cohort", value_name = "NAME")]
    cohorts: Vec<String>,
    /// Most unmatched nodules to list for each side; 0 lists all, as `--json` does
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = numbers::whole::<usize>(0, 1_000_000_000))]
    list: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn compare_nodules(
    arguments: &CompareNodulesArguments,
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    let [cohort_a, cohort_b] = match arguments.cohorts.as_slice() {
        [] => [None, None],
        [both] => [Some(both.as_str()); 2],
        [a, b] => [Some(a.as_str()), Some(b.as_str())],
        _ => return Err(Error::Usage("`--cohort` is given more than twice, expected one for both tables, or one for A and one for B".to_owned())),
    };
    let mut a = nodule_table::read(&arguments.a)?;
    let mut b = nodule_table::read(&arguments.b)?;
    a.select(cohort_a)?;
    b.select(cohort_b)?;
    if let Some(min_marks) = arguments.min_marks {
        if !a.has_marks() && !b.has_marks() {
            return Err(Error::Usage(
                "`--min-marks` does not apply: neither table has numbers of marks".to_owned(),
            ));
        }
        a.keep_marked(min_marks);
        b.keep_marked(min_marks);
    }
    let comparison = compare(&a, &b)?;
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &comparison)?;
        writeln!(out)?;
    } else {
        write_text(&comparison, arguments.list, out)?;
    }
    Ok(Outcome::Success)
}

fn write_text(
    comparison: &NoduleComparison,
    list: usize,
    out: &mut dyn Write,
) -> Result<(), Error> {
    writeln!(out, "A  {}\nB  {}", comparison.a.display(), comparison.b.display())?;
    let empty = [("A", comparison.n_a), ("B", comparison.n_b)].into_iter().filter(|(_, n)| *n == 0);
    let empty: Vec<_> = empty.map(|(side, _)| format!("{side} has no nodules")).collect();
    match comparison.coordinates {
        _ if !empty.is_empty() => writeln!(out, "nothing is compared: {}", empty.join(", "))?,
        Coordinates::Patient => {}
        Coordinates::Image => writeln!(
            out,
            "centres in mm along the image's axes: patient x and y are not known on both sides"
        )?,
        Coordinates::Height => writeln!(
            out,
            "matched by height and diameter alone: x and y are not known on both sides, so a match says less"
        )?,
    }
    let counts = |what: &str, a: usize, b: usize, shared: Shared| {
        let numbers = [a, b, shared.both, shared.only_a, shared.only_b];
        std::iter::once(what.to_owned()).chain(numbers.map(|n| n.to_string())).collect()
    };
    let Shared { both, only_a, only_b } = comparison.series;
    let rows = [
        counts("series", both + only_a, both + only_b, comparison.series),
        counts("nodules", comparison.n_a, comparison.n_b, comparison.nodules),
    ];
    writeln!(
        out,
        "\n{}",
        format::table(&["", "A", "B", "in both", "only in A", "only in B"], rows)
    )?;

    let spread = |what: &str, spread: Option<Spread>| {
        let values = [
            spread.map(|s| s.mean),
            spread.map(|s| s.median),
            spread.map(|s| s.p95),
            spread.map(|s| s.max),
        ];
        std::iter::once(what.to_owned()).chain(values.map(format::number)).collect()
    };
    let signed =
        vec!["diameter, B - A".to_owned(), format::number(comparison.diameter_difference_mean_mm)];
    let rows = [
        spread("distance of centres", comparison.centre_distance_mm),
        signed,
        spread("diameter, either way", comparison.diameter_difference_mm),
    ];
    let head = ["matched, mm", "mean", "median", "95th percentile", "greatest"];
    writeln!(out, "\n{}", format::table(&head, rows))?;
    writeln!(
        out,
        "\n{} of {} agree within {SAME_MM} mm in centre and diameter",
        comparison.n_same, comparison.nodules.both
    )?;
    let axes = match comparison.coordinates {
        Coordinates::Patient | Coordinates::Height => ["x_mm", "y_mm", "z_mm"],
        Coordinates::Image => ["i_mm", "j_mm", "z_mm"],
    };
    write_alone(("A", "B"), &comparison.only_a, axes, list, out)?;
    write_alone(("B", "A"), &comparison.only_b, axes, list, out)
}

fn write_alone(
    (side, other): (&str, &str),
    alone: &[UnmatchedNodule],
    axes: [&str; 3],
    list: usize,
    out: &mut dyn Write,
) -> Result<(), Error> {
    if alone.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nonly in {side}: {}", alone.len())?;
    let shown = if list == 0 { alone.len() } else { list.min(alone.len()) };
    let rows = alone[..shown].iter().map(|nodule| {
        let [x, y, z] = nodule.position_mm.map(format::number);
        let nearest = nodule.nearest.as_ref().map_or("none in the series".to_owned(), |nearest| {
            let taken = if nearest.matched { ", matched to another" } else { "" };
            format!(
                "{:.3} mm away, diameter {:.3} mm{taken}",
                nearest.distance_mm, nearest.diameter_mm
            )
        });
        vec![
            nodule.series_instance_uid.clone(),
            x,
            y,
            z,
            format::number(Some(nodule.diameter_mm)),
            nodule.n_marks.map_or("-".to_owned(), |n| n.to_string()),
            nearest,
        ]
    });
    let nearest = format!("nearest in {other}");
    let head = ["series", axes[0], axes[1], axes[2], "diameter_mm", "marks", &nearest];
    writeln!(out, "{}", format::table(&head, rows))?;
    if shown < alone.len() {
        writeln!(out, "and {} more (`--list 0` lists all)", alone.len() - shown)?;
    }
    Ok(())
}
