//! `nodulus metrics`.

use super::arguments::MetricsArguments;
use super::{Ending, Error, format};
use crate::pipeline::compare_masks::compare;
use serde_json::Value;
use std::io::Write;

pub(super) fn metrics(arguments: &MetricsArguments, out: &mut dyn Write) -> Result<Ending, Error> {
    let found = compare(&arguments.reference, &arguments.prediction, arguments.label)?.values();
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &found)?;
        writeln!(out)?;
    } else {
        let rows = found.iter().map(|(name, value)| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) if number.is_u64() => number.to_string(),
                value => format::number(value.as_f64()),
            };
            vec![name.clone(), text]
        });
        writeln!(out, "{}", format::table(&["metric", "value"], rows))?;
    }
    Ok(Ending::Well)
}
