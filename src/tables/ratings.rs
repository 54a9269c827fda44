//! The nine ratings of LIDC, as groups of columns: what a table keeps of each rating, nine times.

use arrow::datatypes::Field;
use nodulus_store::{Columns, column};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// Names of the ratings, in LIDC's order.
pub const RATINGS: [&str; 9] = [
    "subtlety",
    "internal_structure",
    "calcification",
    "sphericity",
    "margin",
    "lobulation",
    "spiculation",
    "texture",
    "malignancy",
];

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
    const SUFFIXES: &'static [&'static str];

    /// The columns of a rating, in the order of the suffixes.
    fn columns(rating: &str) -> Vec<Field>;

    /// The number of a column, by its place among the suffixes.
    fn get(self, column: usize) -> Option<RatingNumber>;

    /// Sets the number of a column, by its place among the suffixes.
    fn set(&mut self, column: usize, number: Option<RatingNumber>);
}

/// A reader's rating.
impl RatingColumns for Option<i64> {
    const SUFFIXES: &'static [&'static str] = &[""];

    fn columns(rating: &str) -> Vec<Field> {
        vec![column::<Self>(rating, "reader's rating, as in LIDC's XML")]
    }

    fn get(self, _: usize) -> Option<RatingNumber> {
        self.map(RatingNumber::Whole)
    }

    fn set(&mut self, _: usize, number: Option<RatingNumber>) {
        *self = number.and_then(RatingNumber::whole);
    }
}

/// Share of the pairs of readers who gave the same rating.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairAgreement(pub Option<f64>);

impl RatingColumns for PairAgreement {
    const SUFFIXES: &'static [&'static str] = &["_agreement"];

    fn columns(rating: &str) -> Vec<Field> {
        let description = "share of the pairs of readers who gave the same rating; null with fewer than two ratings";
        vec![column::<Option<f64>>(&format!("{rating}_agreement"), description)]
    }

    fn get(self, _: usize) -> Option<RatingNumber> {
        self.0.map(RatingNumber::Real)
    }

    fn set(&mut self, _: usize, number: Option<RatingNumber>) {
        self.0 = number.map(RatingNumber::real);
    }
}

/// A rating over the marks of a nodule that have it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RatingStatistics {
    /// `None` where no mark has the rating.
    pub mean: Option<f64>,
    /// `None` where no mark has the rating.
    pub median: Option<f64>,
    /// Standard deviation with n - 1; `None` under two marks.
    pub sd: Option<f64>,
    /// Marks that have the rating.
    pub n: i64,
}

impl RatingColumns for RatingStatistics {
    const SUFFIXES: &'static [&'static str] = &["", "_median", "_sd", "_n"];

    fn columns(rating: &str) -> Vec<Field> {
        let real = |suffix: &str, description: &str| {
            column::<Option<f64>>(&format!("{rating}{suffix}"), description)
        };
        vec![
            real("", "mean of the marks' ratings; null where no mark is rated"),
            real("_median", "median of the marks' ratings; null where no mark is rated"),
            real(
                "_sd",
                "standard deviation (n - 1) of the marks' ratings; null with fewer than two",
            ),
            column::<i64>(&format!("{rating}_n"), "marks that are rated"),
        ]
    }

    fn get(self, column: usize) -> Option<RatingNumber> {
        match column {
            0 => self.mean.map(RatingNumber::Real),
            1 => self.median.map(RatingNumber::Real),
            2 => self.sd.map(RatingNumber::Real),
            _ => Some(RatingNumber::Whole(self.n)),
        }
    }

    fn set(&mut self, column: usize, number: Option<RatingNumber>) {
        match column {
            0 => self.mean = number.map(RatingNumber::real),
            1 => self.median = number.map(RatingNumber::real),
            2 => self.sd = number.map(RatingNumber::real),
            _ => self.n = number.and_then(RatingNumber::whole).unwrap_or_default(),
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
        let mut map = serializer.serialize_map(Some(RATINGS.len() * T::SUFFIXES.len()))?;
        for (rating, value) in RATINGS.iter().zip(self.values()) {
            for (n, suffix) in T::SUFFIXES.iter().enumerate() {
                map.serialize_entry(&format!("{rating}{suffix}"), &value.get(n))?;
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
                let suffix = name.strip_prefix(rating)?;
                Some((value, T::SUFFIXES.iter().position(|known| *known == suffix)?))
            });
            match found {
                Some((value, column)) => value.set(column, map.next_value()?),
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

    #[test]
    fn each_rating_has_its_columns_in_order() {
        let names: Vec<_> =
            PerRating::<RatingStatistics>::columns().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names.len(), 36);
        assert_eq!(
            names[4..8].join(" "),
            "internal_structure internal_structure_median internal_structure_sd internal_structure_n"
        );
    }

    #[test]
    fn values_come_back_from_columns_and_other_columns_are_ignored() {
        let values = std::array::from_fn(|n| (n % 2 == 0).then_some(n as i64));
        let ratings = PerRating::<Option<i64>>::from_values(values);
        let mut row = serde_json::to_value(ratings).unwrap();
        assert_eq!((&row["texture"], &row["calcification"]), (&json!(null), &json!(2)));
        row["margin_sd"] = json!("x");
        assert_eq!(serde_json::from_value::<PerRating<Option<i64>>>(row).unwrap(), ratings);
        let statistics = RatingStatistics { mean: Some(3.0), median: Some(2.5), sd: None, n: 4 };
        let ratings = PerRating { texture: statistics, ..PerRating::default() };
        let row = serde_json::to_value(ratings).unwrap();
        assert_eq!((&row["texture_median"], &row["texture_n"]), (&json!(2.5), &json!(4)));
        assert_eq!(serde_json::from_value::<PerRating<RatingStatistics>>(row).unwrap(), ratings);
    }
}
