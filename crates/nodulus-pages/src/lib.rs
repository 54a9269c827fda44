//! HTML pages of one file: a skeleton, tables, figures, charts, pictures with outlines, and one style.
//!
//! A [`Page`] needs nothing else: no script, no font and no picture from elsewhere. Text is escaped by
//! default, as markup is written with [`maud::html`]; the same content gives the same bytes.
//!
//! ```
//! use maud::html;
//! use nodulus_pages::charts::{Axis, PANEL, colour, draw, frame, heading};
//! use nodulus_pages::{Chart, Group, Page, charts_side_by_side, text};
//! use plotters::prelude::{Circle, Color};
//!
//! let mut page = Page::new("Rainfall", html! { "Station " code { "A & B" } });
//! page.summary(html! { p { "Two months, " b { "12.5 mm" } " in all." } });
//!
//! page.section("months", "Months");
//! let row = |month: &str, mm: f64| vec![html! { (month) }, html! { (text::decimal(Some(mm), 1)) }];
//! let rows = vec![row("May", 4.5), row("June", 8.0)];
//! page.table("Rain by month.", &["Month", "Rain (mm)"], vec![Group { name: None, rows }]);
//!
//! let picture = draw(PANEL, |area| {
//!     heading(area, "Rain")?;
//!     let mut chart = frame(area, &Axis::new("Month", 0.0..3.0), &Axis::new("mm", 0.0..10.0))?;
//!     let points = [(1.0, 4.5), (2.0, 8.0)].into_iter();
//!     chart.draw_series(points.map(|at| Circle::new(at, 7, colour(0).filled())))?;
//!     Ok(())
//! });
//! let charts = [Chart { picture, description: "Rain by month".to_owned() }];
//! page.figure(charts_side_by_side(&charts), "Each point is a month.");
//!
//! let html = page.render();
//! assert!(html.starts_with("<!DOCTYPE html>"));
//! assert!(html.contains("<code>A &amp; B</code>"));
//! assert!(html.contains("<b>Table 1.</b> Rain by month."));
//! assert!(html.contains("<b>Figure 1.</b> Each point is a month."));
//! ```

pub mod charts;
pub mod text;
mod figure;
mod flow;
mod interval_bar;
mod message;
mod outline;
mod page;
pub mod picture;
mod table;

pub use figure::{Chart, charts_side_by_side, charts_stacked};
pub use flow::{Step, flow};
pub use interval_bar::interval_bar;
pub use message::message;
pub use page::Page;
pub use table::Group;
