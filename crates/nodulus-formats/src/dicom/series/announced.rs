//! The number of instances that a series announces.

use crate::dicom::element::elements;
use crate::dicom::error::Error;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use nodulus_faults::FaultClass;
use std::path::Path;

/// In the order of the tags, as reading ends after the last one.
const WANTED: [Tag; 2] = [tags::IMAGES_IN_ACQUISITION, tags::NUMBER_OF_SERIES_RELATED_INSTANCES];

/// The number of instances of its series that a file announces: `NumberOfSeriesRelatedInstances`, or else
/// `ImagesInAcquisition`; `None` if it has neither, or is damaged.
///
/// # Errors
///
/// Fails if the machine is at fault that the file cannot be read.
pub fn announced_instances(file: &Path) -> Result<Option<usize>, Error> {
    let elements = match elements::read(file, &WANTED) {
        Err(error) if FaultClass::of(&error) == FaultClass::Machine => return Err(error),
        read => read.ok().flatten(),
    };
    let number = |tag| elements.as_ref()?.values.get(tag)?.to_int::<usize>().ok();
    let of_series = number(tags::NUMBER_OF_SERIES_RELATED_INSTANCES);
    Ok(of_series.or_else(|| number(tags::IMAGES_IN_ACQUISITION)))
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
