//! Messages of the program as text of a page.

use maud::{Markup, html};

/// A message, with what stands between two back quotes as code. A back quote without a second one stays as it is.
pub fn message(text: &str) -> Markup {
    let mut parts: Vec<&str> = text.split('`').collect();
    let rest = if parts.len().is_multiple_of(2) { parts.pop() } else { None };
    html! {
        @for (n, part) in parts.into_iter().enumerate() {
            @if n % 2 == 0 { (part) } @else { code { (part) } }
        }
        @if let Some(rest) = rest { "`" (rest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_code() {
        let text = |text: &str| message(text).into_string();
        assert_eq!(text("`a<b`: 4 of `c`"), "<code>a&lt;b</code>: 4 of <code>c</code>");
        assert_eq!(text("no quotes & none"), "no quotes &amp; none");
        assert_eq!(text("`a` and a ` alone"), "<code>a</code> and a ` alone");
        assert_eq!(text("` alone"), "` alone");
        assert_eq!(text(""), "");
    }
}
