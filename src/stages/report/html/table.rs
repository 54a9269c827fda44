//! Tables of the page.

use std::fmt::Write as _;

/// A table; every text in it is markup already.
pub(crate) struct Table<'a> {
    /// Number in the page.
    pub(crate) number: usize,
    /// What the numbers are.
    pub(crate) caption: String,
    /// Heads of the columns, the first one over the rows' names.
    pub(crate) heads: &'a [&'a str],
    /// Rows under a name of their own, or under none.
    pub(crate) groups: Vec<Group>,
}

/// Rows that belong together.
#[derive(Default)]
pub(crate) struct Group {
    /// Name over the rows.
    pub(crate) name: Option<String>,
    /// Cells; the first one names the row.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table<'_> {
    /// Appends the table to a page; a table without a row says so.
    pub(crate) fn write(&self, page: &mut String) {
        let _ = write!(
            page,
            "<div class=\"table\"><table>\n<caption><b>Table {}.</b> {}</caption>\n<thead><tr>",
            self.number, self.caption
        );
        for head in self.heads {
            let _ = write!(page, "<th scope=\"col\">{head}</th>");
        }
        page.push_str("</tr></thead>\n");
        let columns = self.heads.len();
        if self.groups.iter().all(|group| group.rows.is_empty()) {
            let _ = writeln!(page, "<tbody><tr><td colspan=\"{columns}\">none</td></tr></tbody>");
        }
        for group in self.groups.iter().filter(|group| !group.rows.is_empty()) {
            page.push_str("<tbody>");
            if let Some(name) = &group.name {
                let _ = writeln!(
                    page,
                    "<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{columns}\">{name}</th></tr>"
                );
            }
            for row in &group.rows {
                page.push_str("<tr>");
                for (at, cell) in row.iter().enumerate() {
                    let (open, close) =
                        if at == 0 { ("<th scope=\"row\">", "</th>") } else { ("<td>", "</td>") };
                    let _ = write!(page, "{open}{cell}{close}");
                }
                page.push_str("</tr>\n");
            }
            page.push_str("</tbody>\n");
        }
        page.push_str("</table></div>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_says_none() {
        let mut page = String::new();
        let table = Table {
            number: 2,
            caption: "Nothing.".to_owned(),
            heads: &["a", "b"],
            groups: vec![Group::default()],
        };
        table.write(&mut page);
        assert!(page.contains("<td colspan=\"2\">none</td>"), "{page}");
    }
}
