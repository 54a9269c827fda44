//! The nine ratings of LIDC, as groups of columns: what a table keeps of each rating, nine times.

use arrow::datatypes::Field;
use nodulus_metrics::summary;
use nodulus_store::{Columns, column};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// Whether the categories of a rating have an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Categories have an order: a mean says something.
    Ordinal,
    /// Categories have names and no order: a mean of them is a category that nobody gave.
    Nominal,
}

impl Scale {
    /// Name in `rating_agreement`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ordinal => "ordinal",
            Self::Nominal => "nominal",
        }
    }
}

/// One of LIDC's ratings, whose categories are whole numbers from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rating {
    /// Name, as in the columns.
    pub name: &'static str,
    /// Whether the categories have an order.
    pub scale: Scale,
    /// Names of the categories, from 1 on; of ordinal ratings, LIDC names only some.
    pub categories: &'static [&'static str],
}

impl Rating {
    /// Whether a value is on the rating's scale.
    pub fn holds(&self, value: i64) -> bool {
        usize::try_from(value).is_ok_and(|value| (1..=self.categories.len()).contains(&value))
    }

    const fn ordinal(name: &'static str, categories: &'static [&'static str; 5]) -> Self {
        Self { name, scale: Scale::Ordinal, categories }
    }

    const fn nominal(name: &'static str, categories: &'static [&'static str]) -> Self {
        Self { name, scale: Scale::Nominal, categories }
    }
}

/// The ratings, in LIDC's order.
///
/// METHOD: categories as in McNitt-Gray et al. 2007 and Armato et al. 2011, table 1.
pub const RATINGS: [Rating; 9] = [
    Rating::ordinal("subtlety", &["extremely subtle", "", "", "", "obvious"]),
    Rating::nominal("internal_structure", &["soft tissue", "fluid", "fat", "air"]),
    Rating::nominal(
        "calcification",
        &["popcorn", "laminated", "solid", "non-central", "central", "absent"],
    ),
    Rating::ordinal("sphericity", &["linear", "", "ovoid", "", "round"]),
    Rating::ordinal("margin", &["poorly defined", "", "", "", "sharp"]),
    Rating::ordinal("lobulation", &["none", "", "", "", "marked"]),
    Rating::ordinal("spiculation", &["none", "", "", "", "marked"]),
    Rating::ordinal("texture", &["non-solid", "", "part-solid", "", "solid"]),
    Rating::ordinal("malignancy", &["highly unlikely", "", "", "", "highly suspicious"]),
];

/// Calcification that is absent; every other category is calcified.
pub const CALCIFICATION_ABSENT: i64 = 6;
/// The most categories that a rating has.
const MAX_CATEGORIES: usize = 6;

/// A value for each rating.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of LIDC's XML")]
pub struct PerRating<T> {
    pub subtlety: T,
    pub internal_structure: T,
    pub calcification: T,
    pub sphericity: T,
    pub margin: T,
    pub lobulation: T,
    pub spiculation: T,
    pub texture: T,
    pub malignancy: T,
}

impl<T> PerRating<T> {
    /// Ratings from values in the order of [`RATINGS`].
    pub fn from_values(values: [T; RATINGS.len()]) -> Self {
        let [
            subtlety,
            internal_structure,
            calcification,
            sphericity,
            margin,
            lobulation,
            spiculation,
            texture,
            malignancy,
        ] = values;
        Self {
            subtlety,
            internal_structure,
            calcification,
            sphericity,
            margin,
            lobulation,
            spiculation,
            texture,
            malignancy,
        }
    }

    /// The values in the order of [`RATINGS`].
    pub fn values(&self) -> [&T; RATINGS.len()] {
        [
            &self.subtlety,
            &self.internal_structure,
            &self.calcification,
            &self.sphericity,
            &self.margin,
            &self.lobulation,
            &self.spiculation,
            &self.texture,
            &self.malignancy,
        ]
    }
}

/// A number in a column of a rating.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RatingNumber {
    /// In a column of integers.
    Whole(i64),
    /// In a column of reals.
    Real(f64),
}

impl RatingNumber {
    fn whole(self) -> Option<i64> {
        match self {
            Self::Whole(value) => Some(value),
            Self::Real(_) => None,
        }
    }

    fn real(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Real(value) => value,
        }
    }
}

/// What a table keeps of one rating: a column or several, named after the rating.
pub trait RatingColumns: Copy + Default {
    /// What follows the rating's name in the name of each column.
    fn suffixes(rating: &Rating) -> &'static [&'static str];

    /// The columns of a rating, in the order of the suffixes.
    fn columns(rating: &Rating) -> Vec<Field>;

    /// The number of a column, by its place among the suffixes.
    fn get(self, rating: &Rating, column: usize) -> Option<RatingNumber>;

    /// Sets the number of a column, by its place among the suffixes.
    fn set(&mut self, rating: &Rating, column: usize, number: Option<RatingNumber>);
}

/// A reader's rating.
impl RatingColumns for Option<i64> {
    fn suffixes(_: &Rating) -> &'static [&'static str] {
        &[""]
    }

    fn columns(rating: &Rating) -> Vec<Field> {
        let n = rating.categories.len();
        let names = rating.categories.iter().enumerate().filter(|(_, name)| !name.is_empty());
        let names: Vec<String> = names.map(|(n, name)| format!("{} = {name}", n + 1)).collect();
        let description = format!(
            "reader's rating as in LIDC's XML, 1 to {n}: {}; a value off this scale is kept here and counts nowhere",
            names.join(", ")
        );
        vec![column::<Self>(rating.name, &description)]
    }

    fn get(self, _: &Rating, _: usize) -> Option<RatingNumber> {
        self.map(RatingNumber::Whole)
    }

    fn set(&mut self, _: &Rating, _: usize, number: Option<RatingNumber>) {
        *self = number.and_then(RatingNumber::whole);
    }
}

impl PerRating<Option<i64>> {
    /// Whether a value is off its rating's scale.
    pub fn is_off_scale(&self) -> bool {
        self.n_off_scale() > 0
    }

    /// Number of values off their rating's scale.
    pub fn n_off_scale(&self) -> usize {
        let given = RATINGS.iter().zip(self.values());
        given.filter(|(rating, value)| value.is_some_and(|value| !rating.holds(value))).count()
    }
}

/// Share of the pairs of readers who gave the same rating.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairAgreement(pub Option<f64>);

impl RatingColumns for PairAgreement {
    fn suffixes(_: &Rating) -> &'static [&'static str] {
        &["_agreement"]
    }

    fn columns(rating: &Rating) -> Vec<Field> {
        let description = "share of the pairs of readers who gave the same rating; null with fewer than two ratings";
        vec![column::<Option<f64>>(&format!("{}_agreement", rating.name), description)]
    }

    fn get(self, _: &Rating, _: usize) -> Option<RatingNumber> {
        self.0.map(RatingNumber::Real)
    }

    fn set(&mut self, _: &Rating, _: usize, number: Option<RatingNumber>) {
        self.0 = number.map(RatingNumber::real);
    }
}

/// How many marks of a nodule have each category of a rating, from 1 on. Everything else follows from these counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RatingDistribution(pub [i64; MAX_CATEGORIES]);

impl RatingDistribution {
    /// Counts the values that are on the rating's scale.
    pub fn of(rating: &Rating, values: impl IntoIterator<Item = i64>) -> Self {
        let mut counts = [0; MAX_CATEGORIES];
        for value in values.into_iter().filter(|value| rating.holds(*value)) {
            if let Some(count) = usize::try_from(value - 1).ok().and_then(|n| counts.get_mut(n)) {
                *count += 1;
            }
        }
        Self(counts)
    }

    /// Marks that have the rating.
    pub fn n(&self) -> i64 {
        self.0.iter().sum()
    }

    /// The category of each mark that has the rating, ascending.
    fn ascending(&self) -> Vec<f64> {
        let times = self.0.iter().map(|count| usize::try_from(*count).unwrap_or(0));
        times
            .enumerate()
            .flat_map(|(n, times)| std::iter::repeat_n((n + 1) as f64, times))
            .collect()
    }

    /// Mean; `None` where no mark has the rating.
    pub fn mean(&self) -> Option<f64> {
        summary::mean(&self.ascending())
    }

    /// Median; `None` where no mark has the rating.
    pub fn median(&self) -> Option<f64> {
        summary::median(&self.ascending())
    }

    /// Standard deviation with n - 1; `None` under two marks.
    pub fn standard_deviation(&self) -> Option<f64> {
        summary::standard_deviation(&self.ascending())
    }

    /// Number of categories that most marks have: 1, more at a tie, 0 where no mark has the rating.
    pub fn n_modes(&self) -> i64 {
        let most = self.0.into_iter().max().unwrap_or(0);
        if most == 0 { 0 } else { self.0.iter().filter(|count| **count == most).count() as i64 }
    }

    /// The category that most marks have; `None` at a tie and where no mark has the rating.
    pub fn mode(&self) -> Option<i64> {
        let most = self.0.into_iter().max()?;
        let mode = self.0.iter().position(|count| *count == most)?;
        (self.n_modes() == 1).then_some(mode as i64 + 1)
    }
}

/// The suffixes of an ordinal rating: mean, median, standard deviation, number of marks, and of marks with each category.
const ORDINAL: [&str; 9] = ["", "_median", "_sd", "_n", "_n_1", "_n_2", "_n_3", "_n_4", "_n_5"];
/// The suffixes of a nominal rating of up to six categories: mode, number of modes, number of marks, and of marks with
/// each category.
const NOMINAL: [&str; 9] = ["", "_n_modes", "_n", "_n_1", "_n_2", "_n_3", "_n_4", "_n_5", "_n_6"];
/// Columns of a nominal rating before the counts, and of an ordinal one.
const BEFORE_COUNTS: [usize; 2] = [3, 4];

/// Columns of a rating before the counts.
const fn n_before_counts(rating: &Rating) -> usize {
    match rating.scale {
        Scale::Nominal => BEFORE_COUNTS[0],
        Scale::Ordinal => BEFORE_COUNTS[1],
    }
}

impl RatingColumns for RatingDistribution {
    fn suffixes(rating: &Rating) -> &'static [&'static str] {
        let all: &[&str] = match rating.scale {
            Scale::Ordinal => &ORDINAL,
            Scale::Nominal => &NOMINAL,
        };
        all.get(..n_before_counts(rating) + rating.categories.len()).unwrap_or(all)
    }

    fn columns(rating: &Rating) -> Vec<Field> {
        let name = rating.name;
        let real = |suffix: &str, description: &str| {
            column::<Option<f64>>(&format!("{name}{suffix}"), description)
        };
        let whole = |suffix: &str, description: &str| {
            column::<i64>(&format!("{name}{suffix}"), description)
        };
        let mut columns = match rating.scale {
            Scale::Ordinal => vec![
                real("", "mean of the marks' ratings; null where no mark is rated"),
                real("_median", "median of the marks' ratings; null where no mark is rated"),
                real(
                    "_sd",
                    "standard deviation (n - 1) of the marks' ratings; null with fewer than two",
                ),
            ],
            Scale::Nominal => vec![
                column::<Option<i64>>(
                    name,
                    "mode of the marks' ratings; null at a tie and where no mark is rated",
                ),
                whole(
                    "_n_modes",
                    "categories that most marks have: 1, more at a tie, 0 where no mark is rated",
                ),
            ],
        };
        columns.push(whole("_n", "marks that are rated"));
        for (n, category) in rating.categories.iter().enumerate() {
            let category =
                if category.is_empty() { String::new() } else { format!(" ({category})") };
            let description = format!("marks that are rated {}{category}", n + 1);
            columns.push(whole(&format!("_n_{}", n + 1), &description));
        }
        columns
    }

    fn get(self, rating: &Rating, column: usize) -> Option<RatingNumber> {
        use RatingNumber::{Real, Whole};
        if let Some(count) = column.checked_sub(n_before_counts(rating)) {
            return self.0.get(count).copied().map(Whole);
        }
        match (rating.scale, column) {
            (Scale::Ordinal, 0) => self.mean().map(Real),
            (Scale::Ordinal, 1) => self.median().map(Real),
            (Scale::Ordinal, 2) => self.standard_deviation().map(Real),
            (Scale::Nominal, 0) => self.mode().map(Whole),
            (Scale::Nominal, 1) => Some(Whole(self.n_modes())),
            _ => Some(Whole(self.n())),
        }
    }

    /// Only the counts are set: the other columns follow from them.
    fn set(&mut self, rating: &Rating, column: usize, number: Option<RatingNumber>) {
        let place = column.checked_sub(n_before_counts(rating));
        if let Some(count) = place.and_then(|place| self.0.get_mut(place)) {
            *count = number.and_then(RatingNumber::whole).unwrap_or(0);
        }
    }
}

impl<T: RatingColumns> Columns for PerRating<T> {
    fn columns() -> Vec<Field> {
        RATINGS.iter().flat_map(|rating| T::columns(rating)).collect()
    }
}

/// As a map of columns; a row flattens it.
impl<T: RatingColumns> Serialize for PerRating<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let n = RATINGS.iter().map(|rating| T::suffixes(rating).len()).sum();
        let mut map = serializer.serialize_map(Some(n))?;
        for (rating, value) in RATINGS.iter().zip(self.values()) {
            for (n, suffix) in T::suffixes(rating).iter().enumerate() {
                map.serialize_entry(&format!("{}{suffix}", rating.name), &value.get(rating, n))?;
            }
        }
        map.end()
    }
}

impl<'de, T: RatingColumns> Deserialize<'de> for PerRating<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RatingsVisitor(PhantomData))
    }
}

struct RatingsVisitor<T>(PhantomData<T>);

impl<'de, T: RatingColumns> Visitor<'de> for RatingsVisitor<T> {
    type Value = PerRating<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("columns of ratings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [T::default(); RATINGS.len()];
        while let Some(name) = map.next_key::<String>()? {
            let found = RATINGS.iter().zip(&mut values).find_map(|(rating, value)| {
                let suffix = name.strip_prefix(rating.name)?;
                let place = T::suffixes(rating).iter().position(|known| *known == suffix)?;
                Some((rating, value, place))
            });
            match found {
                Some((rating, value, column)) => value.set(rating, column, map.next_value()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(PerRating::from_values(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rating(name: &str) -> &'static Rating {
        RATINGS.iter().find(|rating| rating.name == name).unwrap()
    }

    #[test]
    fn each_rating_has_the_columns_of_its_scale_in_order() {
        let names: Vec<_> =
            PerRating::<RatingDistribution>::columns().iter().map(|f| f.name().clone()).collect();
        // Seven ordinal ratings of nine columns each, then 3 + 4 and 3 + 6.
        assert_eq!(names.len(), 7 * 9 + 7 + 9);
        assert_eq!(
            names[9..16].join(" "),
            "internal_structure internal_structure_n_modes internal_structure_n internal_structure_n_1 \
             internal_structure_n_2 internal_structure_n_3 internal_structure_n_4"
        );
        assert!(names.contains(&"malignancy_n_5".to_owned()));
        assert!(
            !names.contains(&"malignancy_n_6".to_owned())
                && !names.contains(&"calcification_sd".to_owned())
        );
        for rating in &RATINGS {
            assert!(rating.categories.len() <= MAX_CATEGORIES);
            let columns = RatingDistribution::columns(rating);
            assert_eq!(columns.len(), RatingDistribution::suffixes(rating).len());
        }
    }

    #[test]
    fn a_value_off_the_scale_counts_nowhere() {
        let found =
            RatingDistribution::of(rating("internal_structure"), [1, 5, 0, -1, 4, 1, i64::MAX]);
        assert_eq!(found.0, [2, 0, 0, 1, 0, 0]);
        assert_eq!((found.n(), found.mode(), found.n_modes()), (3, Some(1), 1));
        let mut ratings = PerRating { internal_structure: Some(4), ..PerRating::default() };
        assert!(!ratings.is_off_scale());
        ratings.internal_structure = Some(5);
        assert!(ratings.is_off_scale());
    }

    #[test]
    fn a_tie_has_no_mode() {
        let of = |values: &[i64]| RatingDistribution::of(rating("calcification"), values.to_vec());
        let tied = of(&[6, 3, 6, 3]);
        assert_eq!((tied.mode(), tied.n_modes(), tied.n()), (None, 2, 4));
        // The mean of 6, 6, 6 and 3 is 5.25: a category that nobody gave.
        assert_eq!((of(&[6, 6, 6, 3]).mode(), of(&[6, 6, 6, 3]).n_modes()), (Some(6), 1));
        assert_eq!((of(&[]).mode(), of(&[]).n_modes()), (None, 0));
    }

    #[test]
    fn statistics_follow_from_the_counts() {
        let found = RatingDistribution::of(rating("malignancy"), [5, 2, 2]);
        assert_eq!((found.mean(), found.median(), found.n()), (Some(3.0), Some(2.0), 3));
        // Squares about 3: 4 + 1 + 1 = 6, of 2.
        assert!((found.standard_deviation().unwrap() - 3.0f64.sqrt()).abs() < 1e-12);
        let even = RatingDistribution::of(rating("subtlety"), [1, 4, 2, 5]);
        assert_eq!((even.mean(), even.median()), (Some(3.0), Some(3.0)));
        let one = RatingDistribution::of(rating("texture"), [4]);
        assert_eq!((one.mean(), one.standard_deviation()), (Some(4.0), None));
        let none = RatingDistribution::default();
        assert_eq!((none.mean(), none.median(), none.n()), (None, None, 0));
    }

    #[test]
    fn values_come_back_from_columns_and_other_columns_are_ignored() {
        let values = std::array::from_fn(|n| (n % 2 == 0).then_some(n as i64));
        let ratings = PerRating::<Option<i64>>::from_values(values);
        let mut row = serde_json::to_value(ratings).unwrap();
        assert_eq!((&row["texture"], &row["calcification"]), (&json!(null), &json!(2)));
        row["margin_sd"] = json!("x");
        assert_eq!(serde_json::from_value::<PerRating<Option<i64>>>(row).unwrap(), ratings);
        let ratings = PerRating {
            texture: RatingDistribution([0, 1, 1, 0, 0, 0]),
            calcification: RatingDistribution([0, 0, 1, 0, 0, 2]),
            ..PerRating::default()
        };
        let row = serde_json::to_value(ratings).unwrap();
        assert_eq!((&row["texture_median"], &row["texture_n"]), (&json!(2.5), &json!(2)));
        assert_eq!((&row["calcification"], &row["calcification_n_6"]), (&json!(6), &json!(2)));
        assert_eq!(serde_json::from_value::<PerRating<RatingDistribution>>(row).unwrap(), ratings);
    }
}
