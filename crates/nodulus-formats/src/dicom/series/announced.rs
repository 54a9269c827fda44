//! The number of instances that a series announces.

use crate::dicom::element::elements;
use crate::dicom::error::Error;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use nodulus_faults::FaultClass;
use std::path::Path;

/// In the order of the tags, as reading ends after the last one.
const WANTED: [Tag; 2] = [tags::IMAGES_IN_ACQUISITION, tags::NUMBER_OF_SERIES_RELATED_INSTANCES];

/// The numbers of instances that a file announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AnnouncedInstances {
    /// `NumberOfSeriesRelatedInstances`.
    pub(super) of_series: Option<usize>,
    /// `ImagesInAcquisition`, of which a series may have a part.
    pub(super) of_acquisition: Option<usize>,
}

impl AnnouncedInstances {
    /// Reads what a file announces; nothing if it is damaged.
    ///
    /// # Errors
    ///
    /// Fails if the machine is at fault that the file cannot be read.
    pub(super) fn read(file: &Path) -> Result<Self, Error> {
        let elements = match elements::read(file, &WANTED) {
            Err(error) if FaultClass::of(&error) == FaultClass::Machine => return Err(error),
            read => read.ok().flatten(),
        };
        let number = |tag| elements.as_ref()?.values.get(tag)?.to_int::<usize>().ok();
        Ok(Self {
            of_series: number(tags::NUMBER_OF_SERIES_RELATED_INSTANCES),
            of_acquisition: number(tags::IMAGES_IN_ACQUISITION),
        })
    }
}

/// The number of instances of its series that a file announces: `NumberOfSeriesRelatedInstances`, or else
/// `ImagesInAcquisition`; `None` if it has neither, or is damaged.
///
/// # Errors
///
/// Fails if the machine is at fault that the file cannot be read.
pub fn announced_instances(file: &Path) -> Result<Option<usize>, Error> {
    let AnnouncedInstances { of_series, of_acquisition } = AnnouncedInstances::read(file)?;
    Ok(of_series.or(of_acquisition))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::tests::samples;
    use dicom_core::{DataElement, PrimitiveValue, VR};

    #[test]
    fn the_number_of_the_series_takes_precedence() {
        let folder = tempfile::tempdir().unwrap();
        let file = &samples::write(folder.path(), &samples::volume())[0];
        assert_eq!(announced_instances(file).unwrap(), None);
        for (tag, text, expected) in [
            (tags::IMAGES_IN_ACQUISITION, "40", Some(40)),
            (tags::NUMBER_OF_SERIES_RELATED_INSTANCES, "4", Some(4)),
            (tags::NUMBER_OF_SERIES_RELATED_INSTANCES, "many", Some(40)),
        ] {
            samples::edit(file, |object| {
                let value = PrimitiveValue::from(text);
                object.put_element(DataElement::new(tag, VR::IS, value));
            });
            assert_eq!(announced_instances(file).unwrap(), expected);
        }
        assert_eq!(announced_instances(Path::new("none")).unwrap(), None);
    }
}
