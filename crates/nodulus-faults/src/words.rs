//! An error in words, with all its causes.

/// An error with its causes, outermost first. What an error says as its cause does is said once.
pub fn in_words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut texts = causes.map(ToString::to_string).collect::<Vec<_>>();
    texts.dedup();
    texts.join(": ")
}
