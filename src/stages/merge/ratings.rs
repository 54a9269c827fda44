//! The readers' ratings of one nodule.

use crate::tables::{Mark, PerRating, RATINGS, RatingDistribution};

/// How many marks have each category of each rating. Values off a rating's scale take no part.
pub(super) fn ratings(marks: &[&Mark]) -> PerRating<RatingDistribution> {
    PerRating::from_values(std::array::from_fn(|n| {
        let given = marks.iter().filter_map(|mark| *mark.ratings.values()[n]);
        RatingDistribution::of(&RATINGS[n], given)
    }))
}

/// The type of a nodule from its texture; `None` where no mark is rated.
///
/// METHOD: LIDC's texture is 1 for non-solid (ground glass), 3 for part-solid and 5 for solid nodules, with steps between
/// (McNitt-Gray et al. 2007). The median over the marks decides: 5 is solid, 1 is ground glass, and anything between is
/// part-solid, so that one reader of three or four cannot make a nodule solid or ground glass. Calcification and internal
/// structure have columns of their own: a calcified nodule has a texture too.
pub(super) fn texture_type(texture: &RatingDistribution) -> Option<&'static str> {
    Some(match texture.median()? {
        median if median <= 1.0 => "ground_glass",
        median if median < 5.0 => "part_solid",
        _ => "solid",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::ingest::tests::mark;

    #[test]
    fn each_mark_counts_where_it_has_the_rating_and_the_rating_is_on_its_scale() {
        let mut marks: Vec<Mark> =
            (0..4).map(|session| mark("m", session, [10, 10, 1], [2, 2, 1])).collect();
        for (mark, calcification) in marks.iter_mut().zip([Some(6), Some(3), None, Some(7)]) {
            mark.ratings.calcification = calcification;
        }
        marks[3].ratings.internal_structure = Some(5);
        let PerRating { calcification, internal_structure, sphericity, .. } =
            ratings(&marks.iter().collect::<Vec<_>>());
        assert_eq!(calcification.0, [0, 0, 1, 0, 0, 1]);
        assert_eq!((internal_structure.n(), sphericity.n()), (0, 0));
    }

    #[test]
    fn the_type_follows_the_median_texture() {
        for (textures, expected) in [
            (&[5, 5, 1][..], Some("solid")),
            (&[5, 4], Some("part_solid")),
            (&[1, 3, 5], Some("part_solid")),
            (&[1, 1, 2], Some("ground_glass")),
            (&[1, 2], Some("part_solid")),
            (&[], None),
        ] {
            let texture = RatingDistribution::of(&RATINGS[7], textures.iter().copied());
            assert_eq!(texture_type(&texture), expected, "{textures:?}");
        }
    }
}
