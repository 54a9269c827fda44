//! The trainings of a row: one, or one for each of the experiment's seeds.

use super::file::{Experiment, Row};
use super::table::{ensemble, of_seed};
use nodulus_settings::Fault;

/// The setting that `seeds` sets.
const SEED: &str = "train.seed";

impl Experiment {
    /// The seeds that the file names; none where it names none.
    pub(super) fn seeds(&self) -> &[u64] {
        self.seeds.as_deref().unwrap_or_default()
    }

    /// The seeds of each row's trainings, in order; `None` is that of the row's settings.
    pub(super) fn trainings(&self) -> Vec<Option<u64>> {
        if self.seeds().is_empty() {
            return vec![None];
        }
        self.seeds().iter().copied().map(Some).collect()
    }

    /// The seeds over which rows have a mean; none for one training of each row.
    pub(super) fn several_seeds(&self) -> &[u64] {
        if self.seeds().len() > 1 { self.seeds() } else { &[] }
    }

    /// The id of a row's model of a seed: the row's name where it is trained once.
    pub(super) fn model_id(&self, row: &Row, seed: Option<u64>) -> String {
        match seed.filter(|_| !self.several_seeds().is_empty()) {
            Some(seed) => of_seed(&row.name, seed),
            None => row.name.clone(),
        }
    }

    /// The settings that one training of a row adds to the row's.
    pub(super) fn of_training(
        &self,
        row: &Row,
        seed: Option<u64>,
    ) -> Vec<(&'static str, toml::Value)> {
        let model_id = ("infer.model_id", self.model_id(row, seed).into());
        let seed = seed.map(|seed| (SEED, toml::Value::Integer(seed as i64)));
        std::iter::once(model_id).chain(seed).collect()
    }

    /// That each seed is named once, and nothing else sets the seed.
    pub(super) fn check_seeds(&self, sets: &[String]) -> Result<(), Fault> {
        if self.seeds().is_empty() {
            return Ok(());
        }
        let repeated =
            self.seeds().iter().enumerate().find(|(n, seed)| self.seeds()[..*n].contains(seed));
        if let Some((n, seed)) = repeated {
            let message = format!(
                "`seeds` has {seed} twice, which would be one training counted as two; name each seed once"
            );
            return Err(Fault::new(format!("seeds.{n}"), message).or("seeds"));
        }
        let is_seed = |key: &str| key.trim() == SEED;
        let of_rows = self.rows.iter().enumerate().find(|(_, row)| row.set.contains_key(SEED));
        let other = if self.set.contains_key(SEED) {
            Some(("set".to_owned(), format!("`{SEED}` in `set`")))
        } else if let Some((n, row)) = of_rows {
            Some((format!("rows.{n}.set"), format!("`{SEED}` in row {:?}", row.name)))
        } else {
            let option = sets.iter().find(|set| set.split('=').next().is_some_and(is_seed));
            option.map(|option| ("seeds".to_owned(), format!("`--set {option}`")))
        };
        match other {
            None => Ok(()),
            Some((key, other)) => {
                let message = format!(
                    "{other} contradicts `seeds`, which sets the seed of every row; leave one of them out"
                );
                Err(Fault::new(key, message).or("seeds"))
            }
        }
    }

    /// The ids of a row's models in the tables.
    pub(super) fn ids(&self, row: &Row) -> Vec<String> {
        let mut names = vec![row.name.clone()];
        if row.scored {
            names.extend(self.several_seeds().iter().map(|seed| of_seed(&row.name, *seed)));
            if self.folds {
                names.extend(names.clone().iter().map(|name| ensemble(name)));
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn of_seeds(seeds: &[u64], folds: bool) -> Experiment {
        let row = |name: &str| Row {
            name: name.to_owned(),
            set: BTreeMap::new(),
            from: None,
            scored: true,
            paper: BTreeMap::new(),
        };
        Experiment {
            title: "t".to_owned(),
            pipeline: "p.toml".into(),
            store: "s".into(),
            set: BTreeMap::new(),
            folds,
            seeds: (!seeds.is_empty()).then(|| seeds.to_vec()),
            rows: vec![row("a")],
            file: None,
        }
    }

    #[test]
    fn several_seeds_have_ids_of_their_own_and_one_has_the_rows() {
        let of = |seeds: &[u64], folds| {
            let experiment = of_seeds(seeds, folds);
            let row = &experiment.rows[0];
            let ids = |seed| experiment.model_id(row, seed);
            (experiment.trainings().into_iter().map(ids).collect::<Vec<_>>(), experiment.ids(row))
        };
        assert_eq!(of(&[], false), (vec!["a".to_owned()], vec!["a".to_owned()]));
        assert_eq!(of(&[7], false), of(&[], false));
        let (trained, ids) = of(&[7, 2], true);
        assert_eq!(trained, ["a, seed 7", "a, seed 2"]);
        assert_eq!(
            ids,
            [
                "a",
                "a, seed 7",
                "a, seed 2",
                "a, all folds",
                "a, seed 7, all folds",
                "a, seed 2, all folds"
            ]
        );
        let experiment = of_seeds(&[7], false);
        let seed = ("train.seed", toml::Value::Integer(7));
        assert!(experiment.of_training(&experiment.rows[0], Some(7)).contains(&seed));
        let error = experiment.check_seeds(&["train.seed=3".to_owned()]).unwrap_err();
        assert!(error.message.starts_with("`--set train.seed=3` contradicts `seeds`"));
    }
}
