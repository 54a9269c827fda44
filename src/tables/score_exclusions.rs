//! `score_exclusions`: one row for each series that the nightly job excluded, in a folder for each day.

use nodulus_store::{Row, TableSpec, columns};
use serde::{Deserialize, Serialize};

columns! {
    /// A series that was not scored, by a rule.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct ScoreExclusion {
        /// series; a pseudonym where outputs are de-identified
        pub series_instance_uid: String,
        /// localizer, screen_save, no_image, not_hu, one_position, single_slice or inclusion
        pub rule: String,
        /// why the rule excludes it, in words
        pub reason: String,
        /// candidates that name it, which are not scored
        pub n_candidates: i64,
        /// time when it was excluded, UTC; where outputs are de-identified, a moved day
        pub excluded_at: String,
        /// whether the series was looked at again later, because its content, candidates or the rules changed
        pub superseded: bool,
    }
}

impl Row for ScoreExclusion {
    const TABLE: &'static TableSpec = &TableSpec {
        partition_column: Some("scored_on"),
        id_columns: &["series_instance_uid"],
        ..TableSpec::new::<Self>(
            "score_exclusions",
            "a series that the nightly job excluded by a rule",
        )
    };
}
