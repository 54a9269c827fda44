//! `nodulus lineage`.

use super::arguments::LineageArguments;
use super::{Ending, Error};
use crate::pipeline::lineage::{self, Node};
use crate::tables::Output;
use crate::tables::store::Store;
use std::collections::BTreeSet;
use std::io::Write;

/// Cases of the sources that are listed; `--json` lists all.
const MOST_CASES: usize = 20;

pub(super) fn lineage(arguments: &LineageArguments, out: &mut dyn Write) -> Result<Ending, Error> {
    let output = Output::from_name(&arguments.table).ok_or_else(|| {
        let names: Vec<_> = Output::all().map(Output::name).collect();
        let name = &arguments.table;
        Error::Usage(format!("there is no table `{name}`; there are: {}", names.join(", ")))
    })?;
    let node = lineage::lineage(&Store::open(&arguments.store)?, output)?;
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &node)?;
        writeln!(out)?;
    } else {
        write_node(&node, 0, &mut BTreeSet::new(), out)?;
    }
    Ok(Ending::Well)
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
    }
    for input in &node.inputs {
        write_node(input, depth + 1, seen, out)?;
    }
    for case in node.cases.iter().take(MOST_CASES) {
        let digest = &case.content_sha256[..case.content_sha256.len().min(16)];
        writeln!(
            out,
            "{indent}  {} {} ({} files) content {digest}",
            case.cohort, case.case_id, case.n_files
        )?;
    }
    if node.cases.len() > MOST_CASES {
        writeln!(
            out,
            "{indent}  and {} more cases (`--json` lists all)",
            node.cases.len() - MOST_CASES
        )?;
    }
    Ok(())
}
