//! A scan, and who its files name.

use super::error::Error;
use crate::nightly::identity::{Identity, PatientIdentity};
use crate::nightly::scan::scored::ScoredScan;
use nodulus_formats::volume::PlacedMask;

/// A scan, and who its files name.
pub(super) struct Delivery<'a> {
    pub(super) scan: &'a ScoredScan,
    pub(super) identity: &'a Identity,
    pub(super) patient: PatientIdentity,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(scan: &'a ScoredScan, identity: &'a Identity) -> Self {
        Self { scan, identity, patient: scan.patient(identity) }
    }

    /// The series as its files name it.
    pub(super) fn series_uid(&self) -> String {
        self.identity.series(&self.scan.series_instance_uid)
    }

    /// Refuses a scan that no file can hold.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.date_and_time()?;
        let size = self.scan.geometry.size();
        for nodule in &self.scan.nodules {
            let Some(end) = nodule.mask.as_ref().map(PlacedMask::end) else { continue };
            if (0..3).any(|a| end[a] > size[a]) {
                let (series, number) = (self.series_uid(), nodule.number);
                return Err(Error::OffScan { series, number, end, size });
            }
        }
        Ok(())
    }

    /// Time of scoring, as `YYYYMMDD` and `HHMMSS`.
    pub(super) fn date_and_time(&self) -> Result<[String; 2], Error> {
        let text = &self.scan.scored_at;
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let shape: String =
            text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        let date = digits.get(..8).unwrap_or_default();
        let is_date = nodulus_formats::dicom::shifted_date(date, 0).is_some();
        if shape != "0000-00-00T00:00:00Z" || !is_date {
            return Err(Error::ScoredAt { found: text.clone() });
        }
        Ok([date.to_owned(), digits[8..].to_owned()])
    }
}
