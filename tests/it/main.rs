//! Every integration test, in one binary so that it links once.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should panic")]

mod annotations;
mod bad_input;
mod cli;
mod changed_files;
mod candidate_rows;
mod character_sets;
mod clinical;
mod components;
mod compressed;
mod contract;
mod damage;
mod doubts;
mod demo;
mod detectors;
mod dicom_trees;
mod docs;
mod dry_run;
mod experiments;
mod export;
// The library that makes calls fail is Linux's.
#[cfg(target_os = "linux")]
mod faults;
mod fixture;
mod follow_up;
mod foreseen;
mod frozen_plan;
mod fuzz_seeds;
mod gc;
mod grown_training;
mod growing;
mod header_check;
// The kernel says which files a run opens.
#[cfg(target_os = "linux")]
mod growth;
mod hostile;
mod images;
mod kept_training;
mod kill;
mod kill_score;
mod large_scan;
mod lidc_annotations;
mod line;
mod lineage;
mod luna16;
mod luna16_published;
mod memory;
mod metrics;
mod mixed;
mod neighbouring_slices;
mod networks;
mod nightly_job;
mod no_data;
mod odd_files;
#[cfg(target_os = "linux")]
mod opened_files;
mod outside_predictions;
mod peak_memory;
mod planted;
mod plot_marks;
mod privacy;
mod quoted_parts;
mod python;
mod pytorch_weights;
mod r_arrow;
mod readers_segments;
mod real;
mod regions;
mod report_page;
mod rescored;
mod run_options;
mod same_scans;
mod score;
mod score_exclusions;
mod score_outputs;
mod scored_files;
mod seeds;
mod series;
mod slurm;
mod tolerated;
mod unsafe_blocks;
mod training;
mod training_metrics;
mod watch;
mod wiring;
