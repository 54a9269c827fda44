//! `nodulus lineage`.

use super::error::{Error, Outcome};
use super::unknown_name::unknown_name;
use crate::pipeline::lineage::{self, Node, Outside};
use crate::pipeline::outdated::outdated_among;
use crate::stages::train::Origin;
use crate::tables::Output;
use clap::Args;
use nodulus_store::Store;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct LineageArguments {
    /// Table, `checkpoint` or `report`
    table: String,
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Another store, in which weights from outside the store may have been trained; may be repeated
    #[arg(long, value_name = "DIR")]
    also: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Most cases of the sources that are printed; `--json` prints all.
const MAX_CASES: usize = 20;
/// Digits of a content hash that are printed.
const DIGITS: usize = 16;

/// Follows a table back to the source files.
pub(super) fn lineage(arguments: &LineageArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    let output = Output::from_name(&arguments.table).ok_or_else(|| {
        let names: Vec<_> = Output::all().map(Output::name).collect();
        Error::Usage(unknown_name("table", &arguments.table, &names))
    })?;
    let store = Store::open(&arguments.store)?;
    let node = lineage::lineage(&store, output, &arguments.also)?;
    let outdated = outdated_among(&store, &[output])?;
    if arguments.json {
        let mut value = serde_json::to_value(&node)?;
        value["outdated"] = serde_json::to_value(outdated.first())?;
        serde_json::to_writer_pretty(&mut *out, &value)?;
        writeln!(out)?;
    } else {
        write_node(&node, 0, out)?;
        for outdated in outdated {
            writeln!(out, "\n{outdated}")?;
        }
    }
    Ok(Outcome::Success)
}

fn write_node(node: &Node, depth: usize, out: &mut dyn Write) -> Result<(), Error> {
    let indent = "  ".repeat(depth);
    let made = node.made.as_ref().map_or(String::new(), |made| {
        format!(
            ", {} rows, by {} (version {}, nodulus {})",
            made.rows, made.stage, made.stage_version, made.tool_version
        )
    });
    if let Some(store) = &node.store {
        writeln!(out, "{indent}in store `{}`:", store.display())?;
    }
    let note = if node.repeated { " (see above)" } else { "" };
    let digest = digest(&node.content_sha256);
    writeln!(out, "{indent}{} {} content {digest}{made}{note}", node.name, node.key)?;
    if node.repeated {
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
    if let Some(path) = &node.masks_path {
        writeln!(out, "{indent}  read from `{}`, masks of another program", path.display())?;
    }
    if let Some(outside) = &node.outside {
        write_outside(outside, &indent, out)?;
    }
    for input in &node.inputs {
        write_node(input, depth + 1, out)?;
    }
    for source in node.cases.iter().take(MAX_CASES) {
        let case = &source.case;
        let patient = source
            .patient_id
            .as_deref()
            .map_or(String::new(), |patient_id| format!("patient {patient_id}, "));
        let digest = self::digest(&case.content_sha256);
        writeln!(
            out,
            "{indent}  {} {} ({patient}{} files) content {digest}",
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

/// Where weights from outside the store come from.
fn write_outside(outside: &Outside, indent: &str, out: &mut dyn Write) -> Result<(), Error> {
    if let Some(path) = &outside.path {
        writeln!(out, "{indent}  read from `{}`", path.display())?;
    }
    match &outside.origin {
        Some(origin) => writeln!(out, "{indent}  {}", describe(origin))?,
        None => writeln!(out, "{indent}  without a description of what they were made from")?,
    }
    if let Some(why) = &outside.end {
        let also = "name the store that made them with `--also DIR` to go on";
        writeln!(out, "{indent}  the lineage ends here: {why}; {also}")?;
    }
    Ok(())
}

/// What weights tell of their origin: the training, and the number of cases by split and cohort.
fn describe(origin: &Origin) -> String {
    let of_split = |(split, cohorts): (&String, &std::collections::BTreeMap<String, usize>)| {
        let total: usize = cohorts.values().sum();
        let each: Vec<String> = cohorts.iter().map(|(name, n)| format!("{name} {n}")).collect();
        format!(", {total} cases of {split} ({})", each.join(", "))
    };
    let cases: String = origin.n_cases.iter().map(of_split).collect();
    format!("trained as {} by nodulus {}{cases}", origin.run_id, origin.tool_version)
}

fn digest(content_sha256: &str) -> &str {
    content_sha256.get(..DIGITS).unwrap_or(content_sha256)
}
