//! A flow of steps, each with a count: how many there are, and what was lost before the next.

use crate::text::integer;
use maud::{Markup, html};

/// A step.
#[derive(Clone, Debug)]
pub struct Step {
    /// How many there are.
    pub n: u64,
    /// What is counted.
    pub label: String,
    /// Lines below it.
    pub notes: Vec<String>,
}

/// Steps from left to right, or below each other where the page is narrow.
pub fn flow(steps: &[Step]) -> Markup {
    html! {
        ol.flow {
            @for Step { n, label, notes } in steps {
                li { b { (integer(*n)) } " " (label) @for note in notes { br; small { (note) } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_its_count_and_notes() {
        let step = Step { n: 1200, label: "scans".to_owned(), notes: vec!["<lost>: 1".to_owned()] };
        let expected = "<ol class=\"flow\"><li><b>1,200</b> scans<br>\
                        <small>&lt;lost&gt;: 1</small></li></ol>";
        assert_eq!(flow(&[step]).into_string(), expected);
    }
}
