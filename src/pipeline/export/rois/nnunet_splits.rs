//! nnU-Net's `splits_final.json`.

use serde::Serialize;

/// Cases of one fold: those that are fitted, and those that are held out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Fold {
    train: Vec<String>,
    val: Vec<String>,
}

/// The folds of cases with the fold that each is held out in; cases without one are in `train` of
/// every fold. None where no case has a fold.
pub(super) fn folds(cases: &[(String, Option<i64>)]) -> Vec<Fold> {
    let last = cases.iter().filter_map(|(_, fold)| *fold).max();
    let fold = |n: i64| {
        let (val, train) = cases.iter().cloned().partition::<Vec<_>, _>(|case| case.1 == Some(n));
        let [train, val] =
            [train, val].map(|cases| cases.into_iter().map(|(case, _)| case).collect());
        Fold { train, val }
    };
    last.map_or_else(Vec::new, |last| (0..=last).map(fold).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_is_held_out_in_its_fold() {
        let case = |id: &str, fold| (id.to_owned(), fold);
        let cases = [case("a", Some(1)), case("b", Some(0)), case("c", Some(1)), case("d", None)];
        let found = serde_json::to_string(&folds(&cases)).unwrap();
        let expected =
            r#"[{"train":["a","c","d"],"val":["b"]},{"train":["b","d"],"val":["a","c"]}]"#;
        assert_eq!(found, expected);
        assert_eq!(folds(&[case("a", None)]), []);
    }
}
