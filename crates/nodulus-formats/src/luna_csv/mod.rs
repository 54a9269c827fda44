//! LUNA16's CSV files: nodules, excluded findings, candidates, submissions and the list of series.
//!
//! Positions are in the patient, LPS in millimetres. A byte order mark, `\r\n` and blank lines at the end are
//! accepted, and columns that LUNA16 does not have are ignored. Source: the LUNA16 challenge (Setio et al. 2017).

mod error;
mod rows;
mod annotations;
mod findings;
mod half_up;
mod published;
mod candidates;
mod detections;
mod positions;
mod patients;
mod series_uids;

pub use annotations::{Annotation, read_annotations, write_annotations};
pub use candidates::{Candidate, read_candidates, write_candidates};
pub use detections::{Detection, detections_csv, read_detections};
pub use error::Error;
pub use findings::{Finding, read_findings, write_findings};
pub use half_up::half_up;
pub use patients::lidc_patient;
pub use positions::{Position, PositionRow, read_positions};
pub use published::write_published;
pub use series_uids::{read_ended_series_uids, read_series_uids, write_series_uids};

#[cfg(test)]
mod test_file;
