//! Tells copies of a slice from slices of two images at one position.

use super::acquisitions::Placed;
use super::classes::{Place, Value, classes};
use super::slice::SliceHeader;
use super::stack::SAME_POSITION_MM;
use super::telling::{Owner, Telling};
use crate::dicom::error::Error;

/// Refuses two slices at one position with different values of an attribute that copies of one image have alike.
///
/// METHOD: a copy may have a number, a time of writing and comments of its own. An image of another acquisition, phase or
/// reconstruction is none, whether or not its voxels are the same: one of the two is not the scan's.
pub(super) fn check_copies<'a>(
    placed: &Placed<'a>,
    telling: Telling,
    value: impl Fn(&'a SliceHeader) -> Value<'a>,
) -> Result<(), Error> {
    if telling.owner == Owner::File {
        return Ok(());
    }
    let mut first = 0;
    for (at, mm) in placed.heights.iter().enumerate().skip(1) {
        if mm - placed.heights[first] >= SAME_POSITION_MM {
            first = at;
            continue;
        }
        let pair = [placed.slices[first], placed.slices[at]];
        let values = pair.map(&value);
        let lacks_one = telling.may_lack && values.contains(&Value::Missing);
        if lacks_one || values[0] == values[1] {
            continue;
        }
        let reading = telling.reading.of_all(values.into_iter());
        let places = (0..).map(|at| Place { at, mm: *mm });
        if classes(reading, values.into_iter().zip(places)).len() > 1 {
            return Err(Error::UnlikeCopies {
                file: pair[1].name(),
                found: values[1].to_string(),
                other: pair[0].name(),
                expected: values[0].to_string(),
                attribute: telling.keyword,
                position_mm: *mm,
            });
        }
    }
    Ok(())
}
