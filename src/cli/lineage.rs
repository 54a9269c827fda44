//! `nodulus lineage`.

use super::error::{Error, Outcome};
use super::outdated::among;
use super::unknown_name::unknown_name;
use crate::pipeline::lineage::{self, Node};
use crate::tables::Output;
use clap::Args;
use nodulus_store::Store;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct LineageArguments {
    /// Table, `checkpoint` or `report`
    table: String,
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Most cases of the sources that are printed; `--json` prints all.
const MAX_CASES: usize = 20;

/// Follows a table back to the source files.
pub(super) fn lineage(arguments: &LineageArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let output = Output::from_name(&arguments.table).ok_or_else(|| {
        let names: Vec<_> = Output::all().map(Output::name).collect();
        Error::Usage(unknown_name("table", &arguments.table, &names))
    })?;
    let store = Store::open(&arguments.store)?;
    let node = lineage::lineage(&store, output)?;
    let outdated = among(&store, &[output])?;
    if arguments.json {
        let mut value = serde_json::to_value(&node)?;
        value["outdated"] = serde_json::to_value(outdated.first())?;
        serde_json::to_writer_pretty(&mut *out, &value)?;
        writeln!(out)?;
    } else {
        write_node(&node, 0, &mut BTreeSet::new(), out)?;
        for outdated in outdated {
            writeln!(out, "\n{outdated}")?;
        }
    }
    Ok(Outcome::Success)
}

fn write_node(
    node: &Node,
    depth: usize,
    seen: &mut BTreeSet<String>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let indent = "  ".repeat(depth);
    let digest = &node.content_sha256[..node.content_sha256.len().min(16)];
    let made = node.made.as_ref().map_or(String::new(), |made| {
        format!(
            ", {} rows, by {} (version {}, nodulus {})",
            made.rows, made.stage, made.stage_version, made.tool_version
        )
    });
    let repeated = !seen.insert(format!("{}/{}", node.name, node.key));
    let note = if repeated { " (see above)" } else { "" };
    writeln!(out, "{indent}{} {} content {digest}{made}{note}", node.name, node.key)?;
    if repeated {
        return Ok(());
    }
    if let Some(made) = &node.made {
        writeln!(out, "{indent}  settings {}", made.config)?;
        if !made.newer_inputs.is_empty() {
            let names =
                made.newer_inputs.iter().map(|input| format!("{} {}", input.name, input.key));
            let names: Vec<String> = names.collect();
            writeln!(out, "{indent}  kept, and not made from {}", names.join(", "))?;
        }
    }
    for input in &node.inputs {
        write_node(input, depth + 1, seen, out)?;
    }
    for case in node.cases.iter().take(MAX_CASES) {
        let digest = &case.content_sha256[..case.content_sha256.len().min(16)];
        writeln!(
            out,
            "{indent}  {} {} ({} files) content {digest}",
            case.cohort, case.case_id, case.n_files
        )?;
    }
    if node.cases.len() > MAX_CASES {
        writeln!(
            out,
            "{indent}  and {} more cases (`--json` lists all)",
            node.cases.len() - MAX_CASES
        )?;
    }
    Ok(())
}
