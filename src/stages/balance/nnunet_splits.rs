//! Folds in the form of nnU-Net's `splits_final.json`.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A fold: the names of its training and validation cases, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FoldCases {
    /// All cases of other folds.
    pub train: Vec<String>,
    /// The cases of this fold.
    pub val: Vec<String>,
}

/// A case is in two folds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("case `{case}` is in {} and in {}: it would be learnt from and validated on", fold_name(.folds[0]), fold_name(.folds[1]))]
pub struct TwoFolds {
    /// The case.
    pub case: String,
    /// Two of its folds; `None` is test.
    pub folds: Box<[Option<i64>; 2]>,
}

fn fold_name(fold: Option<i64>) -> String {
    fold.map_or_else(|| "test".to_owned(), |fold| format!("fold {fold}"))
}

/// The content of `splits_final.json`: an entry for each fold that has cases, by the fold's number. `cases` are the
/// samples' cases, as the data set names them, with their folds; cases of test have no fold and are in no entry. The
/// list is empty where no case has a fold.
///
/// # Errors
///
/// Fails if samples of one case have different folds.
pub fn nnunet_splits(
    cases: impl IntoIterator<Item = (String, Option<i64>)>,
) -> Result<Vec<FoldCases>, TwoFolds> {
    let mut folds: BTreeMap<String, Option<i64>> = BTreeMap::new();
    for (case, fold) in cases {
        match folds.get(&case) {
            Some(other) if *other != fold => {
                return Err(TwoFolds { case, folds: Box::new([*other, fold]) });
            }
            Some(_) => {}
            None => {
                folds.insert(case, fold);
            }
        }
    }
    let numbers: BTreeSet<i64> = folds.values().flatten().copied().collect();
    let entry = |number: i64| {
        let mut entry = FoldCases::default();
        for (case, fold) in &folds {
            match fold {
                Some(fold) if *fold == number => entry.val.push(case.clone()),
                Some(_) => entry.train.push(case.clone()),
                None => {}
            }
        }
        entry
    };
    Ok(numbers.into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, fold: Option<i64>) -> (String, Option<i64>) {
        (name.to_owned(), fold)
    }

    #[test]
    fn each_fold_validates_on_its_own_cases_and_never_on_tests() {
        let cases = [
            case("b", Some(1)),
            case("a", Some(0)),
            case("c", Some(0)),
            case("t", None),
            case("a", Some(0)),
        ];
        let found = serde_json::to_value(nnunet_splits(cases).unwrap()).unwrap();
        let expected = serde_json::json!([
            {"train": ["b"], "val": ["a", "c"]},
            {"train": ["a", "c"], "val": ["b"]},
        ]);
        assert_eq!(found, expected);
        assert_eq!(nnunet_splits([case("t", None)]).unwrap(), []);
    }

    #[test]
    fn a_case_of_two_folds_is_refused() {
        let error = nnunet_splits([case("a", Some(0)), case("a", None)]).unwrap_err().to_string();
        assert_eq!(
            error,
            "case `a` is in fold 0 and in test: it would be learnt from and validated on"
        );
    }
}
