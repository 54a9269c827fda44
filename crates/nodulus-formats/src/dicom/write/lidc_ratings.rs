//! Codes of LIDC's ratings in measurement reports.

use super::content_item::{Relationship, coded};
use super::new_object::{CodedConcept, Item};
use crate::lidc_xml::Ratings;

/// The codes of a rating and of its values from 1 on.
struct RatingCodes {
    name: CodedConcept,
    values: &'static [CodedConcept],
}

const TWO: CodedConcept = ("002", "99LIDCQIICR", "2 out of 5");
const THREE: CodedConcept = ("003", "99LIDCQIICR", "3 out of 5");
const FOUR: CodedConcept = ("004", "99LIDCQIICR", "4 out of 5");

/// The codes in the order of LIDC's file.
///
/// METHOD: the codes of QIICR's lidc2dicom, by which TCIA publishes these ratings (DICOM-LIDC-IDRI-Nodules): the NCI thesaurus
/// and `RadLex` where they have a concept, and QIICR's own scheme 99LIDCQIICR otherwise. The former is `RADLEX` as PS3.16, table 8-1,
/// registers it; lidc2dicom writes `RadLex`.
const CODES: [RatingCodes; 9] = [
    RatingCodes {
        name: ("C45992", "NCIt", "Subtlety score"),
        values: &[
            ("101", "99LIDCQIICR", "1 out of 5 (Extremely subtle)"),
            ("102", "99LIDCQIICR", "2 out of 5 (Moderately subtle)"),
            ("103", "99LIDCQIICR", "3 out of 5 (Fairly subtle)"),
            ("104", "99LIDCQIICR", "4 out of 5 (Moderately obvious)"),
            ("105", "99LIDCQIICR", "5 out of 5 (Obvious)"),
        ],
    },
    RatingCodes {
        name: ("200", "99LIDCQIICR", "Internal structure"),
        values: &[
            ("C12471", "NCIt", "Soft tissue"),
            ("C25278", "NCIt", "Fluid"),
            ("C12472", "NCIt", "Adipose tissue"),
            ("C73434", "NCIt", "Air"),
        ],
    },
    RatingCodes {
        name: ("C3672", "NCIt", "Calcification"),
        values: &[
            ("RID35453", "RADLEX", "Popcorn calcification sign"),
            ("302", "99LIDCQIICR", "Laminated appearance"),
            ("RID5741", "RADLEX", "Solid appearance"),
            ("304", "99LIDCQIICR", "Non-central appearance"),
            ("RID5827", "RADLEX", "Central calcification"),
            ("RID28473", "RADLEX", "Absent"),
        ],
    },
    RatingCodes {
        name: ("400", "99LIDCQIICR", "Sphericity"),
        values: &[
            ("RID5811", "RADLEX", "linear"),
            TWO,
            ("RID5800", "RADLEX", "ovoid"),
            FOUR,
            ("RID5799", "RADLEX", "round"),
        ],
    },
    RatingCodes {
        name: ("C25563", "NCIt", "Margin"),
        values: &[
            ("RID5709", "RADLEX", "Indistinct margin"),
            TWO,
            THREE,
            FOUR,
            ("RID5707", "RADLEX", "Circumscribed margin"),
        ],
    },
    RatingCodes {
        name: ("C62175", "NCIt", "Lobular Pattern"),
        values: &[
            ("601", "99LIDCQIICR", "1 out of 5 (No lobulation)"),
            TWO,
            THREE,
            FOUR,
            ("605", "99LIDCQIICR", "5 out of 5 (Marked lobulation)"),
        ],
    },
    RatingCodes {
        name: ("C28749", "NCIt", "Spiculation"),
        values: &[
            ("701", "99LIDCQIICR", "1 out of 5 (No spiculation)"),
            TWO,
            THREE,
            FOUR,
            ("705", "99LIDCQIICR", "5 out of 5 (Marked spiculation)"),
        ],
    },
    RatingCodes {
        name: ("C41144", "NCIt", "Texture"),
        values: &[
            ("RID50153", "RADLEX", "non-solid pulmonary nodule"),
            TWO,
            ("RID50152", "RADLEX", "part-solid pulmonary nodule"),
            FOUR,
            ("RID50151", "RADLEX", "solid pulmonary nodule"),
        ],
    },
    RatingCodes {
        name: ("RID36042", "RADLEX", "Malignancy"),
        values: &[
            ("901", "99LIDCQIICR", "1 out of 5 (Highly Unlikely for Cancer)"),
            ("902", "99LIDCQIICR", "2 out of 5 (Moderately Unlikely for Cancer)"),
            ("903", "99LIDCQIICR", "3 out of 5 (Indeterminate Likelihood)"),
            ("904", "99LIDCQIICR", "4 out of 5 (Moderately Suspicious for Cancer)"),
            ("905", "99LIDCQIICR", "5 out of 5 (Highly Suspicious for Cancer)"),
        ],
    },
];

/// The ratings as coded evaluations, in LIDC's order. A rating that is absent or off its scale has none.
pub(crate) fn evaluations(ratings: &Ratings) -> Vec<Item> {
    let given = [
        ratings.subtlety,
        ratings.internal_structure,
        ratings.calcification,
        ratings.sphericity,
        ratings.margin,
        ratings.lobulation,
        ratings.spiculation,
        ratings.texture,
        ratings.malignancy,
    ];
    let evaluation = |(codes, value): (&RatingCodes, Option<i64>)| {
        let place = usize::try_from(value?).ok()?.checked_sub(1)?;
        let value = *codes.values.get(place)?;
        Some(coded(Relationship::Contains, codes.name, value))
    };
    CODES.iter().zip(given).filter_map(evaluation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_dictionary_std::tags;
    use std::collections::BTreeSet;

    #[test]
    fn each_value_of_a_rating_has_a_code_of_its_own() {
        for codes in &CODES {
            let values: BTreeSet<&str> = codes.values.iter().map(|(value, ..)| *value).collect();
            assert_eq!(values.len(), codes.values.len(), "{:?}", codes.name);
        }
        let names: BTreeSet<&str> = CODES.iter().map(|codes| codes.name.0).collect();
        assert_eq!(names.len(), CODES.len());
        assert_eq!(CODES.map(|codes| codes.values.len()), [5, 4, 6, 5, 5, 5, 5, 5, 5]);
    }

    #[test]
    fn a_rating_off_its_scale_is_left_out() {
        let given = Ratings {
            subtlety: Some(5),
            internal_structure: Some(5),
            calcification: Some(6),
            texture: Some(0),
            ..Ratings::default()
        };
        let values: Vec<String> = evaluations(&given)
            .iter()
            .map(|item| {
                let codes = item.element(tags::CONCEPT_CODE_SEQUENCE).unwrap().items().unwrap();
                let value = codes[0].element(tags::CODE_VALUE).unwrap().to_str().unwrap();
                value.into_owned()
            })
            .collect();
        assert_eq!(values, ["105", "RID28473"]);
        assert!(evaluations(&Ratings::default()).is_empty());
    }
}
