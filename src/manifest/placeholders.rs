//! The placeholders of a query, `{{ name }}`. Nothing is put in their place here.

/// The placeholders that every query may use.
pub(super) const BUILT_IN: [&str; 5] = ["backend", "rollout", "canary", "stable", "window"];

/// One placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder<'a> {
    /// `{{ name }}`.
    Named(&'a str),
    /// `{{` without `}}` after it.
    Unclosed,
}

/// The placeholders of `query`, in order.
pub(super) fn read(query: &str) -> Vec<Placeholder<'_>> {
    let mut found = Vec::new();
    let mut rest = query;
    while let Some((_, after)) = rest.split_once("{{") {
        match after.split_once("}}") {
            Some((name, next)) if !name.contains("{{") => {
                found.push(Placeholder::Named(name.trim()));
                rest = next;
            }
            Some(_) => {
                found.push(Placeholder::Unclosed);
                rest = after;
            }
            None => {
                found.push(Placeholder::Unclosed);
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_read_in_order() {
        use Placeholder::{Named, Unclosed};
        assert_eq!(read("a {{ b }} {{c}}"), [Named("b"), Named("c")]);
        assert_eq!(read("{{ a {{ b }}"), [Unclosed, Named("b")]);
        assert_eq!(read("{{ a"), [Unclosed]);
        assert_eq!(read("} }} { {"), []);
    }
}
