//! Statistics of the readers' ratings of one nodule.

use crate::tables::{Mark, PerRating, RatingStatistics};
use nodulus_metrics::summary::{mean, median, standard_deviation};

/// Statistics of each rating over the marks that have it.
pub(super) fn ratings(marks: &[&Mark]) -> PerRating<RatingStatistics> {
    PerRating::from_values(std::array::from_fn(|n| {
        let given = marks.iter().filter_map(|mark| *mark.ratings.values()[n]);
        let mut values: Vec<f64> = given.map(|value| value as f64).collect();
        values.sort_by(f64::total_cmp);
        RatingStatistics {
            mean: mean(&values),
            median: median(&values),
            sd: standard_deviation(&values),
            n: values.len() as i64,
        }
    }))
}

/// The type of a nodule from the mean ratings; `None` without ratings.
///
/// METHOD: in LIDC, calcification 6 is absent, texture 1 is non-solid, 3 part-solid and 5 solid, and internal structure
/// 4 is air (McNitt-Gray et al. 2007). The limits lie half-way between the named values.
pub(super) fn nodule_type(
    internal_structure: Option<f64>,
    calcification: Option<f64>,
    texture: Option<f64>,
) -> Option<&'static str> {
    let texture = texture?;
    Some(match () {
        () if internal_structure.is_some_and(|v| v >= 2.5) => "cavitary",
        () if calcification.is_some_and(|v| v < 5.5) => "calcified",
        () if texture < 2.0 => "ground_glass",
        () if texture < 4.0 => "part_solid",
        () => "solid",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::ingest::tests::mark;

    #[test]
    fn statistics_are_over_the_marks_that_have_the_rating() {
        let mut marks: Vec<Mark> =
            (0..4).map(|session| mark("m", session, [10, 10, 1], [2, 2, 1])).collect();
        for (mark, malignancy) in marks.iter_mut().zip([Some(5), Some(2), None, Some(2)]) {
            mark.ratings.malignancy = malignancy;
        }
        for (mark, subtlety) in marks.iter_mut().zip([Some(1), Some(4), Some(2), Some(5)]) {
            mark.ratings.subtlety = subtlety;
        }
        marks[3].ratings.texture = Some(4);
        let PerRating { subtlety, sphericity, texture, malignancy, .. } =
            ratings(&marks.iter().collect::<Vec<_>>());
        // Squares about 3: 4 + 1 + 4 + 1 = 10, of 3; about 3: 4 + 1 + 1 = 6, of 2.
        let [sd_subtlety, sd_malignancy] = [(10.0f64 / 3.0).sqrt(), 3.0f64.sqrt()];
        assert_eq!((subtlety.mean, subtlety.median, subtlety.n), (Some(3.0), Some(3.0), 4));
        assert!((subtlety.sd.unwrap() - sd_subtlety).abs() < 1e-12);
        assert_eq!((malignancy.mean, malignancy.median, malignancy.n), (Some(3.0), Some(2.0), 3));
        assert!((malignancy.sd.unwrap() - sd_malignancy).abs() < 1e-12);
        let one = RatingStatistics { mean: Some(4.0), median: Some(4.0), sd: None, n: 1 };
        assert_eq!(texture, one);
        assert_eq!(sphericity, RatingStatistics { mean: None, median: None, sd: None, n: 0 });
    }

    #[test]
    fn the_type_follows_the_mean_ratings() {
        for (structure, calcification, texture, expected) in [
            (Some(1.0), Some(6.0), Some(5.0), Some("solid")),
            (Some(1.0), Some(6.0), Some(1.5), Some("ground_glass")),
            (Some(1.0), Some(6.0), Some(3.0), Some("part_solid")),
            (Some(1.0), Some(3.0), Some(5.0), Some("calcified")),
            (Some(4.0), Some(6.0), Some(5.0), Some("cavitary")),
            (None, None, None, None),
        ] {
            assert_eq!(nodule_type(structure, calcification, texture), expected);
        }
    }
}
