//! The shard of a job, from the index that its scheduler gives it.

use super::error::Error;

/// The variables of schedulers with an index, and the first index that each counts.
const VARIABLES: [(&str, usize); 6] = [
    ("SLURM_ARRAY_TASK_ID", 0),
    ("JOB_COMPLETION_INDEX", 0),
    ("PBS_ARRAY_INDEX", 0),
    ("SGE_TASK_ID", 1),
    ("AWS_BATCH_JOB_ARRAY_INDEX", 0),
    ("HQ_TASK_ID", 0),
];

/// The shard that the environment names. Grid Engine counts tasks from 1, all others as the job was submitted, from 0; Grid
/// Engine sets the text "undefined" for a job that is no array.
///
/// # Errors
///
/// Fails if no variable is set, one is no index, or two name different shards.
pub(super) fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<usize, Error> {
    let mut found: Option<(&str, usize)> = None;
    for (name, first) in VARIABLES {
        let Some(text) = variable(name).filter(|text| text != "undefined") else { continue };
        let index = text.trim().parse::<usize>().ok().and_then(|index| index.checked_sub(first));
        let shard = index.ok_or_else(|| {
            Error::Usage(format!("`{name}` is \"{text}\", expected a whole number from {first}"))
        })?;
        match found {
            Some((other, of_other)) if of_other != shard => {
                return Err(Error::Usage(format!(
                    "`{other}` names shard {of_other} and `{name}` shard {shard}; say which with `--shard`"
                )));
            }
            _ => found = Some((name, shard)),
        }
    }
    found.map(|(_, shard)| shard).ok_or_else(|| {
        let names = VARIABLES.map(|(name, _)| name).join(", ");
        Error::Usage(format!(
            "no shard: expected `--shard N`, or one of {names} in the environment"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<usize, String> {
        let value = |name: &str| {
            let found = variables.iter().find(|(of, _)| *of == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        from_environment(value).map_err(|error| error.to_string())
    }

    #[test]
    fn each_scheduler_counts_in_its_way() {
        for (name, first) in VARIABLES {
            assert_eq!(of(&[(name, &(first + 7).to_string())]), Ok(7), "{name}");
        }
        assert_eq!(of(&[("SGE_TASK_ID", "undefined"), ("HQ_TASK_ID", "3")]), Ok(3));
        assert_eq!(of(&[("SLURM_ARRAY_TASK_ID", "2"), ("HQ_TASK_ID", "2")]), Ok(2));
    }

    #[test]
    fn what_is_no_index_is_refused() {
        assert!(
            of(&[]).unwrap_err().contains("expected `--shard N`, or one of SLURM_ARRAY_TASK_ID")
        );
        for (name, text) in [("SGE_TASK_ID", "0"), ("HQ_TASK_ID", "-1"), ("HQ_TASK_ID", "")] {
            let error = of(&[(name, text)]).unwrap_err();
            assert!(error.starts_with(&format!("`{name}` is \"{text}\"")), "{error}");
        }
        let error = of(&[("SLURM_ARRAY_TASK_ID", "2"), ("HQ_TASK_ID", "3")]).unwrap_err();
        assert!(error.contains("names shard 2 and `HQ_TASK_ID` shard 3"), "{error}");
    }
}
