//! The skeleton of a page: head, summary, contents, numbered tables and figures.

use crate::figure::figure;
use crate::table::{Group, Table};
use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

/// How pages look: light and dark, on screen and on paper.
const STYLE: PreEscaped<&str> = PreEscaped(include_str!("style.css"));

/// A page under way. Tables and figures are numbered in the order in which they are added.
#[derive(Debug)]
pub struct Page {
    title: String,
    byline: Markup,
    summary: Markup,
    sections: Vec<Section>,
    has_contents: bool,
    n_tables: usize,
    n_figures: usize,
}

#[derive(Debug)]
struct Section {
    anchor: &'static str,
    title: &'static str,
    body: String,
}

impl Page {
    /// A page without sections; `byline` is the line below the title.
    pub fn new(title: &str, byline: Markup) -> Self {
        Self {
            title: title.to_owned(),
            byline,
            summary: Markup::default(),
            sections: Vec::new(),
            has_contents: false,
            n_tables: 0,
            n_figures: 0,
        }
    }

    /// Sets what stands above all sections.
    pub fn summary(&mut self, summary: Markup) {
        self.summary = summary;
    }

    /// Numbers the sections and lists them below the summary.
    pub fn contents(&mut self) {
        self.has_contents = true;
    }

    /// Begins a section, to which all that follows is added. `anchor` is its id in the page.
    pub fn section(&mut self, anchor: &'static str, title: &'static str) {
        self.sections.push(Section { anchor, title, body: String::new() });
    }

    /// Adds markup. It is lost where there is no section yet.
    pub fn add(&mut self, markup: impl Render) {
        if let Some(section) = self.sections.last_mut() {
            markup.render_to(&mut section.body);
            section.body.push('\n');
        }
    }

    /// Adds a table with the next number. `heads` are the heads of its columns.
    pub fn table(&mut self, caption: impl Render, heads: &[&str], groups: Vec<Group>) {
        self.n_tables += 1;
        let caption = html! { b { "Table " (self.n_tables) "." } " " (caption) };
        self.add(Table { caption, heads, groups });
    }

    /// Adds a figure with the next number.
    pub fn figure(&mut self, content: impl Render, caption: impl Render) {
        self.n_figures += 1;
        let caption = html! { b { "Figure " (self.n_figures) "." } " " (caption) };
        self.add(figure(content, caption));
    }

    /// The whole page as HTML. Control characters become U+FFFD, as they have no place in a page.
    pub fn render(self) -> String {
        let Self { title, byline, summary, sections, has_contents, .. } = self;
        let page = html! {
            (DOCTYPE) "\n"
            html lang="en" {
                "\n" head {
                    "\n" meta charset="utf-8";
                    "\n" meta name="viewport" content="width=device-width, initial-scale=1";
                    "\n" meta name="color-scheme" content="light dark";
                    "\n" title { (title) }
                    "\n" style { "\n" (STYLE) }
                    "\n"
                }
                "\n" body {
                    "\n" main {
                        "\n" header { h1 { (title) } "\n" p.byline { (byline) } }
                        "\n" section.abstract #summary { (summary) }
                        @if has_contents {
                            "\n" nav aria-label="Sections" {
                                ol {
                                    @for section in &sections {
                                        li { a href={ "#" (section.anchor) } { (section.title) } }
                                    }
                                }
                            }
                        }
                        @for (n, section) in (1..).zip(&sections) {
                            "\n" section id=(section.anchor) {
                                h2 { @if has_contents { (n) ". " } (section.title) }
                                "\n" (PreEscaped(&section.body))
                            }
                        }
                        "\n"
                    }
                    "\n"
                }
                "\n"
            }
            "\n"
        };
        let is_kept = |c: char| !c.is_control() || c == '\n' || c == '\t';
        page.into_string().chars().map(|c| if is_kept(c) { c } else { '\u{fffd}' }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_its_parts_in_order() {
        let mut page = Page::new("A <b>", html! { "by " code { "c\u{0}" } });
        page.add("lost");
        page.contents();
        page.summary(html! { p { "short" } });
        page.section("one", "First");
        page.figure(html! { p { "drawn" } }, "What is drawn.");
        page.section("two", "Second & last");
        page.table("Numbers.", &["n"], Vec::new());
        page.table("More.", &["n"], Vec::new());
        let html = page.render();
        assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{html}");
        assert!(html.ends_with("</main>\n</body>\n</html>\n"), "{html}");
        let parts = [
            "<title>A &lt;b&gt;</title>",
            "--paper",
            "<h1>A &lt;b&gt;</h1>\n<p class=\"byline\">by <code>c\u{fffd}</code></p>",
            "<section class=\"abstract\" id=\"summary\"><p>short</p></section>",
            "<li><a href=\"#two\">Second &amp; last</a></li>",
            "<section id=\"one\"><h2>1. First</h2>",
            "<b>Figure 1.</b> What is drawn.",
            "<section id=\"two\"><h2>2. Second &amp; last</h2>",
            "<b>Table 1.</b> Numbers.",
            "<b>Table 2.</b> More.",
        ];
        let positions: Vec<_> = parts.iter().map(|part| html.find(part)).collect();
        assert!(positions.iter().all(Option::is_some), "{positions:?}: {html}");
        assert!(positions.is_sorted());
        assert!(!html.contains("lost"));
    }

    #[test]
    fn sections_without_contents_have_no_number() {
        let mut page = Page::new("A", html! {});
        page.section("one", "First");
        let html = page.render();
        assert!(html.contains("<h2>First</h2>") && !html.contains("<nav"));
    }
}
