//! Values of decoded elements: texts, decimal numbers and short integers.

use super::syntax::Encoding;
use super::text::is_text;
use crate::dicom::error::{Problem, attribute_name};
use crate::dicom::irregularities::Irregularity;
use dicom_core::Tag;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;
use dicom_object::file::ReadPreamble;
use dicom_object::{DicomCollectorOptions, InMemDicomObject};
use std::io::{BufReader, Cursor};

/// Decodes elements whose lengths were checked.
///
/// The end of the bytes would be an error inside the library, whose backtrace takes longer than the elements, so that they
/// are read up to an element that is put after them.
pub(crate) fn decode(mut bytes: Vec<u8>, encoding: Encoding) -> Result<InMemDicomObject, Problem> {
    let mut values = InMemDicomObject::new_empty();
    bytes.extend(encoding.empty_element(tags::DATA_SET_TRAILING_PADDING));
    DicomCollectorOptions::new()
        .read_preamble(ReadPreamble::Never)
        .expected_ts(encoding.uid())
        .from_reader(BufReader::new(Cursor::new(bytes)))
        .read_dataset_up_to(tags::DATA_SET_TRAILING_PADDING, &mut values)
        .map_err(|error| Problem::elements(&error))?;
    Ok(values)
}

pub(crate) type ReadValue<T> = fn(&InMemDicomObject, Tag) -> Result<Option<T>, Problem>;

pub(crate) fn required<T>(
    values: &InMemDicomObject,
    tag: Tag,
    read: ReadValue<T>,
) -> Result<T, Problem> {
    read(values, tag)?.ok_or_else(|| Problem::Missing(attribute_name(tag)))
}

/// A text without padding; `None` if it is missing or empty.
///
/// # Errors
///
/// Fails if it has bytes that are no characters of its sets.
pub(crate) fn text(values: &InMemDicomObject, tag: Tag) -> Result<Option<String>, Problem> {
    let Some(element) = values.get(tag) else { return Ok(None) };
    if is_text(element.vr()) && matches!(element.value().primitive(), Some(PrimitiveValue::U8(_))) {
        let found = "of bytes that are no characters of its SpecificCharacterSet (0008,0005)";
        return Err(Problem::value(tag, found, "text; correct the set that the file declares"));
    }
    let found = element.to_str().map_err(|error| Problem::elements(&error))?;
    let found = found.trim_matches(['\0', ' ']);
    Ok((!found.is_empty()).then(|| found.to_owned()))
}

/// The value of an attribute that no voxel depends on; one that is no valid value counts as missing and is noted.
pub(crate) fn descriptive<T>(
    values: &InMemDicomObject,
    tag: Tag,
    read: ReadValue<T>,
    irregular: &mut Vec<Irregularity>,
) -> Option<T> {
    read(values, tag).unwrap_or_else(|_| {
        irregular.push(Irregularity::Attribute(tag));
        None
    })
}

/// One whole number.
pub(crate) fn whole(values: &InMemDicomObject, tag: Tag) -> Result<Option<i64>, Problem> {
    let Some(found) = text(values, tag)? else { return Ok(None) };
    let number = found.parse().ok();
    number.map(Some).ok_or_else(|| Problem::value(tag, format!("`{found}`"), "a whole number"))
}

/// A count that is written as a whole number, `1` or `1.0`.
pub(crate) fn count(text: &str) -> Option<usize> {
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && (0.0..1e9).contains(&number)).then_some(number as usize)
}

pub(crate) fn number(values: &InMemDicomObject, tag: Tag) -> Result<Option<f64>, Problem> {
    Ok(numbers(values, tag)?.map(|[number]| number))
}

/// Numbers that a file may repeat, as `1\\1` for a slope of 1; notes the repetition.
pub(crate) fn repeated_numbers<const N: usize>(
    values: &InMemDicomObject,
    tag: Tag,
    irregular: &mut Vec<Irregularity>,
) -> Result<[f64; N], Problem> {
    let problem = match required(values, tag, numbers) {
        Ok(numbers) => return Ok(numbers),
        Err(problem) => problem,
    };
    let found = text(values, tag)?.unwrap_or_default();
    let parts: Option<Vec<f64>> = found.split('\\').map(|part| part.trim().parse().ok()).collect();
    match parts.as_deref() {
        Some([first, rest @ ..])
            if rest.len() >= N
                && first.is_finite()
                && rest.iter().all(|part| part.total_cmp(first).is_eq()) =>
        {
            irregular.push(Irregularity::RepeatedValue(tag));
            Ok([*first; N])
        }
        _ => Err(problem),
    }
}

/// Exactly `N` finite decimal numbers.
pub(crate) fn numbers<const N: usize>(
    values: &InMemDicomObject,
    tag: Tag,
) -> Result<Option<[f64; N]>, Problem> {
    let Some(found) = text(values, tag)? else { return Ok(None) };
    let parsed: Option<Vec<f64>> = found
        .split('\\')
        .map(|part| part.trim().parse().ok().filter(|number: &f64| number.is_finite()))
        .collect();
    match parsed.and_then(|numbers| numbers.try_into().ok()) {
        Some(numbers) => Ok(Some(numbers)),
        None => Err(Problem::value(tag, format!("`{found}`"), n_numbers(N))),
    }
}

/// `n` decimal numbers, in words.
pub(super) fn n_numbers(n: usize) -> String {
    if n == 1 { "one decimal number".to_owned() } else { format!("{n} decimal numbers") }
}

pub(crate) fn integer(values: &InMemDicomObject, tag: Tag) -> Result<u16, Problem> {
    let element = values.get(tag).ok_or_else(|| Problem::Missing(attribute_name(tag)))?;
    let found = element.to_multi_int::<u16>().map_err(|error| Problem::elements(&error))?;
    match found[..] {
        [one] => Ok(one),
        _ => Err(Problem::value(tag, format!("{found:?}"), "one number")),
    }
}
