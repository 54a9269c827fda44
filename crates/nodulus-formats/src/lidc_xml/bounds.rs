//! Bounds on XML before it is parsed, as the parser takes time and memory by the square of some counts.

/// Most attributes of an element. LIDC's have four at most.
///
/// METHOD: the parser compares each attribute of an element with all others.
pub(super) const MOST_ATTRIBUTES: usize = 100;

/// Most declarations of namespaces in a file. LIDC's files have two.
///
/// METHOD: the parser copies the namespaces of an element to each element below it that declares one.
pub(super) const MOST_NAMESPACES: usize = 100;

/// Greatest depth of elements. LIDC's have six.
pub(super) const MOST_DEPTH: usize = 100;

/// The first bound that a file exceeds: what is too many, of which there may be so many, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exceeded {
    pub(super) what: &'static str,
    pub(super) most: usize,
    pub(super) line: u32,
}

/// Checks the bounds in one pass. What is not well formed is left to the parser, which stops there.
pub(super) fn check(text: &str) -> Result<(), Exceeded> {
    let (mut at, mut depth, mut n_namespaces) = (0, 0usize, 0);
    while let Some(start) = text[at..].find('<').map(|n| at + n) {
        let rest = &text[start..];
        let passed = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
        if let Some((_, end)) = passed.iter().find(|(begin, _)| rest.starts_with(begin)) {
            let Some(n) = rest.find(end) else { return Ok(()) };
            at = start + n + end.len();
            continue;
        }
        let Some(tag) = Tag::of(rest.as_bytes()) else { return Ok(()) };
        n_namespaces += tag.n_namespaces;
        match rest.as_bytes().get(1) {
            Some(b'/') => depth = depth.saturating_sub(1),
            _ if tag.is_empty => {}
            _ => depth += 1,
        }
        let counts = [
            ("attributes of an element", tag.n_attributes, MOST_ATTRIBUTES),
            ("declarations of namespaces", n_namespaces, MOST_NAMESPACES),
            ("elements inside one another", depth, MOST_DEPTH),
        ];
        if let Some((what, _, most)) = counts.into_iter().find(|(_, n, most)| n > most) {
            return Err(Exceeded { what, most, line: line(text, start) });
        }
        at = start + tag.length;
    }
    Ok(())
}

/// The line of a byte, from 1.
fn line(text: &str, at: usize) -> u32 {
    let before = text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
    u32::try_from(before + 1).unwrap_or(u32::MAX)
}

/// A tag, from `<` to `>`.
struct Tag {
    length: usize,
    n_attributes: usize,
    n_namespaces: usize,
    /// Whether it is an element without content, `<a/>`.
    is_empty: bool,
}

impl Tag {
    /// The tag that bytes begin with; `None` if it has no end.
    fn of(bytes: &[u8]) -> Option<Self> {
        let (mut quote, mut n_attributes, mut n_namespaces) = (None, 0, 0);
        for (n, byte) in bytes.iter().copied().enumerate() {
            match quote {
                Some(mark) if byte == mark => quote = None,
                Some(_) => {}
                None => match byte {
                    b'"' | b'\'' => quote = Some(byte),
                    b'=' => n_attributes += 1,
                    b'x' if bytes[n..].starts_with(b"xmlns") => n_namespaces += 1,
                    b'>' => {
                        let is_empty = n > 0 && bytes[n - 1] == b'/';
                        return Some(Self { length: n + 1, n_attributes, n_namespaces, is_empty });
                    }
                    _ => {}
                },
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_quotes_comments_and_text_is_not_counted() {
        let many = "a=b<>".repeat(2000);
        let text = format!(
            "<?xml version='1.0'?><!-- {many} --><a x=\"{}\" y='>'><![CDATA[{many}]]> = = </a>",
            many.replace('<', " ")
        );
        assert_eq!(check(&text), Ok(()));
        assert_eq!(check(&"<a><b x='1'/></a>".repeat(10_000)), Ok(()));
        for broken in ["<", "<a", "<a b='>", "<!-- ", "<![CDATA[", "a > b", "</a></a>"] {
            assert_eq!(check(broken), Ok(()), "{broken}");
        }
    }

    #[test]
    fn each_bound_is_named_with_its_line() {
        let attributes: Vec<String> = (0..=MOST_ATTRIBUTES).map(|n| format!(" a{n}='1'")).collect();
        let attributes = attributes.concat();
        let namespaces = format!("<a>{}</a>", "\n<b xmlns:c='d'/>".repeat(MOST_NAMESPACES + 1));
        let deep = "<a>".repeat(MOST_DEPTH + 1);
        for (text, what, line) in [
            (format!("<a>\n<b{attributes}/></a>"), "attributes of an element", 2),
            (namespaces, "declarations of namespaces", 102),
            (deep, "elements inside one another", 1),
        ] {
            assert_eq!(check(&text), Err(Exceeded { what, most: 100, line }));
        }
    }
}
