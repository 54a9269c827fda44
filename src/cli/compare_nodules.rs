//! `nodulus compare-nodules`.

use super::arguments::CompareNodulesArguments;
use super::{Ending, Error, format};
use crate::pipeline::compare_nodules::{
    Alone, Comparison, Coordinates, SAME_MM, Shared, Spread, compare,
};
use crate::pipeline::nodule_table;
use std::io::Write;

pub(super) fn compare_nodules(
    arguments: &CompareNodulesArguments,
    out: &mut dyn Write,
) -> Result<Ending, Error> {
    let [cohort_a, cohort_b] = match arguments.cohorts.as_slice() {
        [] => [None, None],
        [both] => [Some(both.as_str()); 2],
        [a, b] => [Some(a.as_str()), Some(b.as_str())],
        _ => return Err(Error::Usage("`--cohort` is for A and for B: give it twice".to_owned())),
    };
    let mut a = nodule_table::read(&arguments.a)?;
    let mut b = nodule_table::read(&arguments.b)?;
    a.select(cohort_a)?;
    b.select(cohort_b)?;
    if let Some(min_marks) = arguments.min_marks {
        if !a.has_marks() && !b.has_marks() {
            return Err(Error::Usage(
                "`--min-marks` is of no use: neither table has numbers of marks".to_owned(),
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
    Ok(Ending::Well)
}

fn write_text(found: &Comparison, list: usize, out: &mut dyn Write) -> Result<(), Error> {
    writeln!(out, "A  {}\nB  {}", found.a.display(), found.b.display())?;
    if found.coordinates == Coordinates::Image {
        writeln!(
            out,
            "centres in mm along the image's axes: patient x and y are not known on both sides"
        )?;
    }
    let counts = |what: &str, a: usize, b: usize, shared: Shared| {
        let numbers = [a, b, shared.both, shared.only_a, shared.only_b];
        std::iter::once(what.to_owned()).chain(numbers.map(|n| n.to_string())).collect()
    };
    let Shared { both, only_a, only_b } = found.series;
    let rows = [
        counts("series", both + only_a, both + only_b, found.series),
        counts("nodules", found.n_a, found.n_b, found.nodules),
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
        vec!["diameter, B - A".to_owned(), format::number(found.diameter_difference_mean_mm)];
    let rows = [
        spread("distance of centres", found.centre_distance_mm),
        signed,
        spread("diameter, either way", found.diameter_difference_mm),
    ];
    let head = ["matched, mm", "mean", "median", "95th percentile", "greatest"];
    writeln!(out, "\n{}", format::table(&head, rows))?;
    writeln!(
        out,
        "\n{} of {} agree within {SAME_MM} mm in centre and diameter",
        found.n_same, found.nodules.both
    )?;
    let axes = match found.coordinates {
        Coordinates::Patient => ["x_mm", "y_mm", "z_mm"],
        Coordinates::Image => ["i_mm", "j_mm", "z_mm"],
    };
    write_alone(("A", "B"), &found.only_a, axes, list, out)?;
    write_alone(("B", "A"), &found.only_b, axes, list, out)
}

fn write_alone(
    (side, other): (&str, &str),
    alone: &[Alone],
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
        let [x, y, z] = nodule.position_mm.map(|mm| format::number(Some(mm)));
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
