//! Tables.

use maud::{Markup, Render, html};

/// A table.
pub(crate) struct Table<'a> {
    pub(crate) caption: Markup,
    /// Heads of the columns, the first one over the rows' names.
    pub(crate) heads: &'a [&'a str],
    pub(crate) groups: Vec<Group>,
}

/// Rows that belong together.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Name over the rows.
    pub name: Option<Markup>,
    /// Cells; the first one names the row.
    pub rows: Vec<Vec<Markup>>,
}

impl Render for Table<'_> {
    /// A group without a row is left out; a table without a row says so.
    fn render(&self) -> Markup {
        let columns = self.heads.len();
        let filled = || self.groups.iter().filter(|group| !group.rows.is_empty());
        html! {
            div.table {
                table {
                    "\n" caption { (self.caption) }
                    "\n" thead { tr { @for head in self.heads { th scope="col" { (head) } } } }
                    @if filled().next().is_none() {
                        "\n" tbody { tr { td colspan=(columns) { "none" } } }
                    }
                    @for group in filled() {
                        "\n" tbody {
                            @if let Some(name) = &group.name {
                                tr.group { th scope="rowgroup" colspan=(columns) { (name) } }
                                "\n"
                            }
                            @for row in &group.rows {
                                tr { @for (n, cell) in row.iter().enumerate() { (to_cell(n, cell)) } }
                                "\n"
                            }
                        }
                    }
                    "\n"
                }
            }
        }
    }
}

fn to_cell(column: usize, content: &Markup) -> Markup {
    html! { @if column == 0 { th scope="row" { (content) } } @else { td { (content) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_says_none() {
        let caption = html! { "Nothing." };
        let table = Table { caption, heads: &["a", "<b>"], groups: vec![Group::default()] };
        let html = table.render().into_string();
        assert!(html.contains("<caption>Nothing.</caption>"), "{html}");
        assert!(html.contains("<th scope=\"col\">&lt;b&gt;</th>"), "{html}");
        assert!(html.contains("<td colspan=\"2\">none</td>"), "{html}");
    }

    #[test]
    fn the_first_cell_of_a_row_is_its_head() {
        let group = Group {
            name: Some(html! { "G" }),
            rows: vec![vec![html! { "r" }, html! { b { (1) } }]],
        };
        let table = Table { caption: html! {}, heads: &["", "n"], groups: vec![group] };
        let html = table.render().into_string();
        let expected = "<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"2\">G</th></tr>\n\
                        <tr><th scope=\"row\">r</th><td><b>1</b></td></tr>\n</tbody>";
        assert!(html.contains(expected), "{html}");
    }
}
