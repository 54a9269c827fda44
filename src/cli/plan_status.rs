//! `nodulus status --plan`: how the stages of a plan stand.

use super::error::{Error, Outcome};
use super::format;
use crate::pipeline::frozen::{FrozenPlan, ShardList, StageState};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// Prints for each stage of a plan how many shards are made, which are missing, and why.
pub(super) fn plan_status(plan: &Path, json: bool, out: &mut dyn Write) -> Result<Outcome, Error> {
    let (frozen, store, config) = FrozenPlan::open(plan)?;
    let states = frozen.state(&store, &config)?;
    if json {
        let stages: Vec<Value> = states
            .iter()
            .map(|(stage, n_shards, state)| {
                let mut value = json!({ "stage": stage.name(), "n_shards": n_shards });
                match state {
                    StageState::Committed => value["state"] = "committed".into(),
                    StageState::Waits { on } => {
                        value["state"] = "waits".into();
                        value["waits_on"] = on.name().into();
                    }
                    StageState::Open { shards, causes } => {
                        value["state"] = "open".into();
                        value["pending"] = json!(shards.pending);
                        value["claimed"] = json!(shards.claimed);
                        value["n_failures"] = json!(shards.n_failures);
                        value["causes"] = json!(causes);
                    }
                }
                value
            })
            .collect();
        let value = json!({ "plan": frozen.key, "store": store.root(), "stages": stages });
        serde_json::to_writer_pretty(&mut *out, &value)?;
        writeln!(out)?;
        return Ok(Outcome::Success);
    }
    let rows = states.iter().map(|(stage, n_shards, state)| {
        let text = match state {
            StageState::Committed => "committed".to_owned(),
            StageState::Waits { on } => format!("waits for {on}"),
            StageState::Open { shards, .. } if shards.pending.is_empty() => "to commit".to_owned(),
            StageState::Open { shards, .. } => {
                let missing = ShardList::new(&shards.pending);
                match ShardList::new(&shards.claimed) {
                    claimed if claimed.shards().is_empty() => format!("missing {missing}"),
                    claimed => format!("missing {missing}, in work {claimed}"),
                }
            }
        };
        let n_made = match state {
            StageState::Committed => *n_shards,
            StageState::Waits { .. } => 0,
            StageState::Open { shards, .. } => n_shards - shards.pending.len(),
        };
        vec![stage.name().to_owned(), format!("{n_made} of {n_shards}"), text]
    });
    writeln!(out, "{}", format::table(&["stage", "shards made", "state"], rows))?;
    for (stage, _, state) in &states {
        let StageState::Open { causes, .. } = state else { continue };
        for (shard, cause) in causes {
            writeln!(
                out,
                "{stage} shard {shard}, on {} at {}: {}",
                cause.host, cause.at, cause.cause
            )?;
        }
    }
    Ok(Outcome::Success)
}
