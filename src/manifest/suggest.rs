//! The nearest known name for a typo.

/// The name of `known` that `given` was most likely meant to be, if one is near enough.
///
/// Near is: equal but for case, `-` and `_`; or, for words of three letters and more, at most a
/// third of the letters changed, added, left out or swapped.
pub(crate) fn nearest<'a, I>(given: &str, known: I) -> Option<&'a str>
where
    I: IntoIterator<Item = &'a str>,
{
    let folded = fold(given);
    known
        .into_iter()
        .filter(|name| *name != given)
        .filter_map(|name| {
            let other = fold(name);
            let distance = strsim::damerau_levenshtein(&folded, &other);
            let longest = folded.chars().count().max(other.chars().count());
            let near = distance == 0 || (longest >= 3 && distance * 3 <= longest);
            near.then_some((distance, name))
        })
        .min()
        .map(|(_, name)| name)
}

/// Texts longer than this are no typo of anything; comparing them would only take time.
const LONGEST: usize = 100;

fn fold(text: &str) -> String {
    text.chars()
        .filter(|c| !matches!(c, '-' | '_'))
        .take(LONGEST)
        .flat_map(char::to_lowercase)
        .collect()
}

/// `a, b or c`, each in backticks.
pub(super) fn either<'a, I>(names: I) -> String
where
    I: IntoIterator<Item = &'a str>,
{
    let quoted: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name_and_a_stranger_finds_none() {
        let known = ["replicas", "template", "traffic", "stop_grace_period"];
        assert_eq!(nearest("replcias", known), Some("replicas"));
        assert_eq!(nearest("Traffic", known), Some("traffic"));
        assert_eq!(nearest("stopGracePeriod", known), Some("stop_grace_period"));
        assert_eq!(nearest("volume", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn lists_read_as_a_sentence() {
        assert_eq!(either(["a"]), "`a`");
        assert_eq!(either(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
