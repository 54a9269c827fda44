//! Histograms of the cohorts.

use crate::stages::report::content::{Histogram, HistogramQuantity};
use maud::Markup;
use nodulus_pages::charts::{Area, Axis, Drawn, Labels, WIDE, axes, colour, draw, text_style};
use nodulus_pages::text::decimal;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Pixels of a cohort's row, of its name, and of the titles of the axes below the last row.
const ROW: u32 = 260;
const NAME: u32 = 44;
const TITLES: u32 = 50;
/// Pixels of the text above the bars, and to the right of them.
const LABEL: u32 = 40;
const MARGIN: u32 = 24;

/// A row for each cohort, with its name and a chart for each histogram. Charts below each other show the same
/// quantity.
pub(in crate::stages::report) fn histograms(cohorts: &[(&str, Vec<&Histogram>)]) -> Markup {
    let n = cohorts.len() as u32;
    draw([WIDE, n * (ROW + NAME) + TITLES], |area| {
        let (body, titles) = area.split_vertically(n * (ROW + NAME));
        let left = text_style().pos(Pos::new(HPos::Left, VPos::Center));
        for (row, (place, (name, charts))) in
            body.split_evenly((cohorts.len(), 1)).iter().zip(cohorts).enumerate()
        {
            let (head, charts_area) = place.split_vertically(NAME);
            head.draw(&Text::new((*name).to_owned(), (10, NAME as i32 / 2), left.clone()))?;
            for (cell, histogram) in charts_area.split_evenly((1, charts.len())).iter().zip(charts)
            {
                draw_histogram(cell, histogram, colour(row))?;
            }
        }
        let columns = cohorts.first().map_or(0, |(_, charts)| charts.len());
        for (column, cell) in titles.split_evenly((1, columns)).iter().enumerate() {
            let quantity = cohorts.iter().find_map(|(_, charts)| charts.get(column));
            let title = quantity.map_or("", |histogram| title(histogram.quantity));
            let (width, height) = cell.dim_in_pixel();
            let centre = text_style().pos(Pos::new(HPos::Center, VPos::Center));
            let at = (width as i32 / 2 + 25, height as i32 / 2);
            cell.draw(&Text::new(title, at, centre))?;
        }
        Ok(())
    })
}

/// A quantity with its unit.
pub(in crate::stages::report) const fn title(quantity: HistogramQuantity) -> &'static str {
    match quantity {
        HistogramQuantity::SliceSpacing => "Slice spacing (mm)",
        HistogramQuantity::PixelSpacing => "In-plane spacing (mm)",
        HistogramQuantity::SliceThickness => "Slice thickness (mm)",
        HistogramQuantity::Diameter => "Nodule diameter (mm)",
    }
}

/// Decimals of a quantity.
pub(in crate::stages::report) const fn decimals(quantity: HistogramQuantity) -> usize {
    match quantity {
        HistogramQuantity::SliceSpacing
        | HistogramQuantity::PixelSpacing
        | HistogramQuantity::SliceThickness => 2,
        HistogramQuantity::Diameter => 1,
    }
}

fn draw_histogram(area: &Area<'_>, histogram: &Histogram, colour: RGBColor) -> Drawn {
    let Histogram { quantity, n, min, median, max, start, width, ref counts, .. } = *histogram;
    let text = |value| decimal(value, decimals(quantity));
    let label = format!("n {n}, {} ({} to {})", text(median), text(min), text(max));
    let label = if n == 0 { "none".to_owned() } else { label };
    let highest = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let (low, high) = (start, start + width * counts.len().max(1) as f64);
    let mut chart = ChartBuilder::on(area);
    chart.margin_left(10).margin_right(MARGIN).margin_top(LABEL);
    chart.x_label_area_size(40).y_label_area_size(66);
    let mut chart = chart.build_cartesian_2d(low..high, 0.0..highest * 1.05)?;
    let labels = |most: usize| if n == 0 { 0 } else { most };
    let x = Axis { n_labels: labels(5), ..Axis::new("", low..high) };
    let y = Axis { n_labels: labels(4), labels: Labels::Whole, ..Axis::new("", 0.0..highest) };
    axes(&mut chart, &x, &y)?;
    chart.draw_series(counts.iter().enumerate().filter(|(_, count)| **count > 0).map(
        |(bar, count)| {
            let x = start + width * bar as f64;
            Rectangle::new([(x, 0.0), (x + width, *count as f64)], colour.mix(0.75).filled())
        },
    ))?;
    let right = text_style().pos(Pos::new(HPos::Right, VPos::Top));
    let (width, _) = area.dim_in_pixel();
    area.draw(&Text::new(label, ((width - MARGIN) as i32, 4), right))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_draw_any_values() {
        let histogram = |counts: Vec<u64>| Histogram {
            quantity: HistogramQuantity::Diameter,
            n: counts.iter().sum(),
            n_unknown: 1,
            min: Some(4.0),
            median: Some(5.25),
            max: Some(9.0),
            start: 4.0,
            width: 1.0,
            counts,
        };
        let (filled, empty) = (histogram(vec![2, 0, 0, 1]), histogram(vec![]));
        let text = histograms(&[("<a>", vec![&filled, &empty]), ("b", vec![&empty, &filled])]);
        let text = text.into_string();
        assert!(text.trim_end().ends_with("</svg>") && !text.contains("<a>"), "{text}");
        assert!(!text.contains("NaN") && !text.contains("inf"));
        assert_eq!(text.matches("n 3, 5.2 (4.0 to 9.0)").count(), 2, "{text}");
        assert_eq!(text.matches("Nodule diameter (mm)").count(), 2);
        assert!(histograms(&[]).into_string().trim_end().ends_with("</svg>"));
    }
}
