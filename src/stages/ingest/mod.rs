//! Ingest: files of a cohort → `scans`, `marks`, `exclusions`, `passed_over`.

pub(super) mod config;
pub(crate) mod file_stamp;
mod annotation;
mod case_error;
mod case;
mod case_rows;
mod cohort_settings;
mod earlier_rows;
mod frame;
mod header_check;
mod inclusion;
mod judged;
mod lidc_marks;
mod mask_nodules;
mod mask_marks;
mod mask_readings;
mod reads;
mod reformats;
mod scan_row;
pub(super) mod sources;
#[cfg(test)]
pub(in crate::stages) mod tests;

use crate::stages::memory;
use crate::stages::spec::StageSpec;
use crate::stages::task::Task;
use crate::tables::exclusions::{Exclusion, ExclusionRule};
use crate::tables::{Mark, Output, PassedOverFile, Scan, Table};
use annotation::Annotation;
use case::CaseContent;
pub use case_rows::CaseRows;
pub use cohort_settings::{Cohort, LidcMask, MaskReader};
pub use config::Config;
pub(crate) use earlier_rows::EarlierRows;
use frame::Frame;
pub use header_check::check_case;
pub use inclusion::{Inclusion, Preset};
pub(crate) use judged::JudgedScan;
use nodulus_formats::cohort;
use nodulus_formats::mask_file::MaskRules;
use nodulus_formats::scan_geometry;
use nodulus_store::{FailedCase, Job};
pub use sources::{SourceCase, Sources};
use std::collections::{BTreeMap, BTreeSet};

/// The stage.
pub const SPEC: StageSpec = StageSpec {
    name: "ingest",
    description: "read scans and readers' marks",
    example: "",
    reads: &[],
    writes: &[
        Output::Table(Table::Scans),
        Output::Table(Table::Marks),
        Output::Table(Table::Exclusions),
        Output::Table(Table::PassedOver),
    ],
    version: 12,
    needs_images: false,
    is_sharded: true,
    is_on: |_| true,
    settings: |config| serde_json::to_value(&config.ingest),
    outside_weights: |_| None,
    outside_files: None,
    check: None,
    contents: None,
    decide: None,
    run: |config, task, job| Ok(run(&config.ingest, task, job)?),
    reduction: None,
};

/// Reads the cases of every pending shard, as many at once as `max_memory` allows. Rows of cases that an earlier run read for a
/// shard that is no longer are taken over.
///
/// # Errors
///
/// Fails if a table of scan geometry cannot be read, the store cannot be read or written to, or a disk is full; a case that
/// fails becomes a row of `failures`, and the shard of one that met a fault of the machine is left undone.
pub fn run(config: &Config, task: &Task<'_>, job: &Job) -> Result<(), Error> {
    let sources = task.sources;
    let work = job.work()?;
    let mut geometries = BTreeMap::new();
    for cohort in config.cohorts.iter().filter(|_| work.n_left() > 0) {
        if let Some(table) = cohort.read_scan_geometry()? {
            geometries.insert(cohort.name.as_str(), table);
        }
    }
    let earlier = match work.n_left() {
        0 => EarlierRows::default(),
        _ => EarlierRows::of(config, task.store, job)?,
    };
    let reader = case::Reader { config, series_list: sources.series_list.as_ref(), geometries };
    let cases = |shard: usize| sources.shards.get(shard).map_or(&[][..], Vec::as_slice);
    let total = work.positions().map(|shard| cases(shard).len()).sum();
    let mut done = 0;
    for writer in work {
        let mut writer = writer?;
        let cases = cases(writer.number());
        let unread: Vec<FailedCase> = cases.iter().filter_map(|case| case.fault.clone()).collect();
        if !unread.is_empty() {
            writer.leave(unread)?;
            continue;
        }
        let (mut scans, mut marks) = (writer.part::<Scan>()?, writer.part::<Mark>()?);
        let mut exclusions = writer.part::<Exclusion>()?;
        let mut passed_over = writer.part::<PassedOverFile>()?;
        let mut failures = Vec::new();
        if writer.number() == sources.shards.len() {
            exclusions.write(not_found(config, sources))?;
        }
        let compares = config.inclusion.thinnest_of_study;
        let thicker = if compares { reader.thicker(cases) } else { inclusion::Thicker::new() };
        let mut known = earlier.read(job, writer.number(), cases);
        let is_known: BTreeSet<usize> = known.keys().copied().collect();
        let numbered: Vec<(usize, &SourceCase)> = cases.iter().enumerate().collect();
        let mut n_rows = Vec::with_capacity(cases.len());
        memory::for_each(
            &numbered,
            task.max_memory,
            |(n, source)| {
                if is_known.contains(n) { 0 } else { cohort::estimate_bytes(&source.case) }
            },
            |(n, source)| (!is_known.contains(n)).then(|| case_rows(reader.read(source, &thicker))),
            |(n, source), rows| {
                let mut case = match rows {
                    Ok(rows) => rows.or_else(|| known.remove(n)).unwrap_or_default(),
                    Err(error) => CaseRows::not_worked(source, &error),
                };
                n_rows.push(case.n_rows());
                scans.write(case.scans)?;
                marks.write(case.marks)?;
                exclusions.write(case.exclusions)?;
                passed_over.write(case.passed_over)?;
                if !case.failures.is_empty() {
                    case.failures.extend(source.gone("ingest"));
                }
                let of_cohort = |failed: FailedCase| failed.of_cohort(&source.cohort);
                failures.extend(case.failures.into_iter().map(of_cohort));
                done += 1;
                task.cases(done.min(total), total);
                Ok::<_, Error>(())
            },
        )?;
        writer.set_case_rows(n_rows);
        let parts =
            vec![scans.finish()?, marks.finish()?, exclusions.finish()?, passed_over.finish()?];
        writer.commit(parts, failures)?;
    }
    Ok(())
}

/// The rows of one case.
fn case_rows(content: CaseContent<'_>) -> CaseRows {
    let CaseContent { before: mut rows, scans, cohort, after } = content;
    let how = cohort.map_or_else(HowMarked::default, HowMarked::of);
    for scan in scans {
        match scan {
            Ok((scan, frame, annotations)) => {
                rows.extend(transform(scan, &frame, &annotations, how));
            }
            Err(failure) => rows.failures.push(failure),
        }
    }
    rows.extend(after);
    rows
}

/// Series of the list that no cohort has. Empty for cohorts with images, whose series are unknown until they are read.
pub fn series_not_found<'a>(config: &Config, sources: &'a Sources) -> Vec<&'a str> {
    let Some(list) = &sources.series_list else { return Vec::new() };
    if config.cohorts.iter().any(|cohort| cohort.source.has_images()) {
        return Vec::new();
    }
    let cases = sources.shards.iter().flatten();
    let found: BTreeSet<&str> = cases.map(|source| source.case.case_id.as_str()).collect();
    list.iter().map(String::as_str).filter(|series| !found.contains(series)).collect()
}

/// The rows of [`series_not_found`]; they make a shard of their own, the last.
fn not_found(config: &Config, sources: &Sources) -> Vec<Exclusion> {
    let row = |series: &str| {
        let reason = "series of `ingest.series_list` is in no cohort".to_owned();
        Exclusion::new(ExclusionRule::SeriesNotFound, None, Some(series), series, reason)
    };
    series_not_found(config, sources).into_iter().map(row).collect()
}

/// How annotations become marks.
#[derive(Clone, Copy, Debug, Default)]
pub struct HowMarked<'a> {
    /// How masks are read; `None` for the default.
    masks: Option<&'a MaskRules>,
    /// How lines become masks.
    lidc_mask: LidcMask,
}

impl<'a> HowMarked<'a> {
    /// By the settings of a cohort.
    fn of(cohort: &'a Cohort) -> Self {
        Self { masks: Some(&cohort.masks), lidc_mask: cohort.lidc_mask }
    }
}

/// The rows of one scan and its annotations; only included scans get marks.
pub fn transform(
    mut scan: Scan,
    frame: &Frame,
    annotations: &[(String, Annotation)],
    how: HowMarked<'_>,
) -> CaseRows {
    let mut rows = CaseRows::default();
    let chosen = reads::choose(&scan, annotations);
    scan.annotation_paths = chosen.used.iter().map(|(path, _)| path.clone()).collect();
    if scan.study_instance_uid.is_none() {
        scan.study_instance_uid = chosen.used.iter().find_map(|(_, a)| a.study_instance_uid());
    }
    rows.exclusions = chosen.exclusions;
    rows.failures = chosen.failures;
    let (mut n_sessions, mut masks) = (0, Vec::new());
    for (path, annotation) in chosen.used {
        match annotation {
            Annotation::Lidc(reads) => {
                n_sessions += lidc_marks::n_sessions(frame, reads);
                if scan.included {
                    let marks = lidc_marks::marks(&scan, frame, how.lidc_mask, reads, path);
                    rows.exclusions.extend(marks.iter().filter_map(lidc_marks::exclusion));
                    rows.marks.extend(marks);
                }
            }
            Annotation::Mask(reading) => masks.push((path.as_str(), reading)),
        }
    }
    let default = MaskRules::default();
    let rules = how.masks.unwrap_or(&default);
    let (of_masks, n_readers) = mask_readings::rows(&scan, frame, rules, &masks);
    rows.extend(of_masks);
    scan.n_reading_sessions = (n_sessions + n_readers) as i64;
    rows.scans.push(scan);
    rows
}

/// The stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A table of scan geometry could not be read.
    #[error(transparent)]
    ScanGeometry(#[from] scan_geometry::Error),
    /// The store could not be used.
    #[error(transparent)]
    Tables(#[from] crate::tables::Error),
}
