//! Text for people: aligned columns and numbers.

use super::printable::printable;
use comfy_table::{ContentArrangement, Table, presets};
use std::path::Path;

/// Lines of a table with a head; two spaces separate the columns.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head);
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A number with three decimals, or `-`.
pub(super) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

/// A path as a shell takes it: in quotes where it holds a character that a shell reads otherwise.
pub(super) fn shell(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_cell_are_escapes() {
        let rows = [vec!["a\u{1b}[2J".to_owned(), "b\nc".to_owned()]];
        let text = table(&["x", "y"], rows);
        assert!(text.ends_with("\na\\u{1b}[2J  b\\nc"), "{text}");
    }

    #[test]
    fn a_path_with_a_space_is_quoted_for_a_shell() {
        assert_eq!(shell(Path::new("store/demo-1_b.c")), "store/demo-1_b.c");
        assert_eq!(shell(Path::new("my store")), "'my store'");
        assert_eq!(shell(Path::new("it's")), r"'it'\''s'");
    }
}
