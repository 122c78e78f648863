//! That no value becomes syntax.

use proptest::prelude::*;

use super::*;

fn window() -> Window {
    Window {
        start: "2026-01-02T03:04:05Z".parse().expect("an instant"),
        end: "2026-01-02T03:05:05.5Z".parse().expect("an instant"),
    }
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn filled(query: &str, value: &str) -> Result<String, FillError> {
    fill(query, &values(&[("x", value)]), window())
}

const TIMES: &str = "time >= 1767323045000000000 AND time < 1767323105500000000";

#[test]
fn analysis_2_the_window_is_half_open_in_nanoseconds() {
    let query = "SELECT sum(\"errors\") / sum(\"requests\") FROM \"haproxy\"\nWHERE \"b\" = '{{ x }}' AND {{window}}";
    assert_eq!(
        filled(query, "news-web"),
        Ok(format!(
            "SELECT sum(\"errors\") / sum(\"requests\") FROM \"haproxy\"\nWHERE \"b\" = 'news-web' AND {TIMES}"
        ))
    );
}

#[test]
fn analysis_4_values_are_escaped_for_the_quotes_around_them() {
    let query = "SELECT \"{{ x }}\" FROM m WHERE t = '{{ x }}' AND {{ window }}";
    for (value, name, text) in [
        ("x' OR 1=1 --", "x' OR 1=1 --", "x\\' OR 1=1 --"),
        ("a\"b", "a\\\"b", "a\"b"),
        ("a\\", "a\\\\", "a\\\\"),
        ("\\'", "\\\\'", "\\\\\\'"),
        ("{{ window }}", "{{ window }}", "{{ window }}"),
        ("ä/*;", "ä/*;", "ä/*;"),
    ] {
        assert_eq!(
            filled(query, value),
            Ok(format!(
                "SELECT \"{name}\" FROM m WHERE t = '{text}' AND {TIMES}"
            )),
            "{value:?}"
        );
    }
}

#[test]
fn analysis_4_a_placeholder_where_it_would_be_syntax_is_refused() {
    let bare = || FillError::Bare("x".to_owned());
    for (query, error) in [
        ("SELECT {{ x }} FROM m WHERE {{ window }}", bare()),
        ("SELECT a FROM m WHERE b = {{x}} AND {{ window }}", bare()),
        (
            "SELECT a FROM m WHERE b =~ /{{ x }}/ AND {{ window }}",
            FillError::Regex,
        ),
        (
            "SELECT a FROM /{{ x }}/ WHERE {{ window }}",
            FillError::Regex,
        ),
        (
            "SELECT a FROM m WHERE b = '{{ window }}'",
            FillError::QuotedWindow,
        ),
        (
            "SELECT a FROM m WHERE b = '{{ x'",
            FillError::Unterminated("a placeholder"),
        ),
        (
            "SELECT a FROM m WHERE {{ window",
            FillError::Unterminated("a placeholder"),
        ),
        (
            "SELECT a FROM m WHERE b = 'x AND {{ window }}",
            FillError::Unterminated("a quote"),
        ),
        (
            "SELECT a FROM m WHERE b = 'x\n' AND {{ window }}",
            FillError::Unterminated("a quote"),
        ),
        (
            "SELECT a FROM m /* WHERE {{ window }}",
            FillError::Unterminated("a comment"),
        ),
        ("SELECT a FROM m WHERE b = '{{ x }}'", FillError::NoWindow),
        ("SELECT a FROM m -- {{ window }}", FillError::NoWindow),
    ] {
        assert_eq!(filled(query, "v"), Err(error), "{query}");
    }
}

#[test]
fn analysis_4_a_placeholder_after_a_back_slash_is_none() {
    // InfluxDB refuses the query for its escape; a value there could have closed the quote.
    let query = "SELECT a FROM m WHERE b = '\\{{ x }}' AND {{ window }}";
    let left = filled(query, "' OR 1=1 --").expect("a query");
    assert!(left.contains("'\\{{ x }}'"), "{left}");
}

#[test]
fn an_unknown_placeholder_names_the_known_ones() {
    let query = "SELECT a FROM m WHERE b = '{{ args.team }}' AND {{ window }}";
    let error = filled(query, "v").expect_err("no such value");
    assert_eq!(
        error.to_string(),
        "the query's `{{ args.team }}` has no value; known: x, window"
    );
}

#[test]
fn control_characters_are_refused() {
    for value in ["a\nb", "a\0b", "\r", "\u{7f}"] {
        let error = filled(
            "SELECT a FROM m WHERE b = '{{ x }}' AND {{ window }}",
            value,
        );
        assert_eq!(error, Err(FillError::Control("x".to_owned())), "{value:?}");
    }
}

#[test]
fn only_one_select_that_only_reads_is_made() {
    for query in [
        "DROP MEASUREMENT m -- {{ window }}",
        "",
        "SELECT a INTO b FROM m WHERE {{ window }}",
        "SELECT a FROM m WHERE {{ window }}; DROP MEASUREMENT m",
        "SHOW DATABASES",
    ] {
        let error = filled(query, "v");
        assert!(
            matches!(error, Err(FillError::NotOneSelect(_))),
            "{query}: {error:?}"
        );
    }
    for query in [
        "select a from m where {{ window }};",
        " -- why\nSELECT \"into\" FROM m WHERE t = 'a; DROP b' AND {{ window }} ; /* end */",
    ] {
        assert!(filled(query, "v").is_ok(), "{query}");
    }
}

#[test]
fn a_slash_divides_or_begins_a_regular_expression() {
    // In each, the quote inside the regular expression is no quote.
    for query in [
        "SELECT sum(a) / sum(b) FROM m WHERE c = '{{ x }}' AND {{ window }}",
        "SELECT a FROM m WHERE d =~ /it's/ AND c = '{{ x }}' AND {{ window }}",
        "SELECT a FROM /it's\\/it/ WHERE c = '{{ x }}' AND {{ window }}",
        "SELECT mean(/it's/) / 2 FROM m WHERE c = '{{ x }}' AND {{ window }}",
        "SELECT \"a\" / \"b\" FROM db.rp./it's/ WHERE c = '{{ x }}' AND {{ window }}",
    ] {
        let text = filled(query, "v'").expect(query);
        assert!(text.contains("c = 'v\\''"), "{text}");
    }
}

/// What a query means, apart from what stands in its quotes.
fn structure(query: &str) -> Vec<String> {
    let pieces = cut(query).expect("a query that was made can be cut");
    let shape = |piece: &Piece<'_>| match piece {
        Piece::Quoted(quote, _) => quote.to_string(),
        other => format!("{other:?}"),
    };
    pieces.iter().map(shape).collect()
}

fn quoted(query: &str) -> Vec<String> {
    let unescaped = |body: &str| {
        let mut text = String::new();
        let mut chars = body.chars();
        while let Some(c) = chars.next() {
            text.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        text
    };
    cut(query)
        .expect("a query that was made can be cut")
        .iter()
        .filter_map(|piece| match piece {
            Piece::Quoted(_, body) => Some(unescaped(body)),
            _ => None,
        })
        .collect()
}

#[test]
fn placeholders_are_those_that_are_filled() {
    let query =
        "SELECT a -- {{ b }}\nFROM \"{{ c }}\" WHERE d = '\\{{ e }} {{f}}' AND {{ window }}";
    let reading = Reading::of(query).expect("a query");
    assert_eq!(reading.placeholders(), ["c", "f", "window"]);
    assert_eq!(reading.refusals(), []);
}

#[test]
fn analysis_1_a_query_that_can_only_be_one_number_has_no_flaw() {
    for (query, flaws) in [
        ("SELECT sum(a) / sum(b) FROM m WHERE {{ window }};", &[][..]),
        ("SELECT time, top(a, 1) FROM m WHERE {{ window }}", &[]),
        (
            "SELECT mean(a) FROM (SELECT a FROM m WHERE {{ window }})",
            &[],
        ),
        (
            "SELECT last(a) FROM m WHERE \"time\" = 'x' OR {{ window }}",
            &[Flaw::SecondTime],
        ),
        (
            "SELECT a, b FROM m WHERE {{ window }}",
            &[Flaw::Values(2), Flaw::Points],
        ),
        (
            "SELECT sum(a) FROM m WHERE (b = 'c' AND ({{ window }}",
            &[Flaw::Parentheses],
        ),
        (
            "SELECT sum(a)) FROM m WHERE {{ window }}",
            &[Flaw::Parentheses],
        ),
        ("SELECT sum({{ window }}) FROM m", &[Flaw::StrayWindow]),
        ("SELECT sum(a) WHERE {{ window }}", &[Flaw::NoFrom]),
        (
            "SELECT sum(a) FROM m WHERE {{ window }} GROUP BY b, time(1s)",
            &[Flaw::Intervals, Flaw::Tags],
        ),
        (
            "SELECT sum(a) FROM m WHERE {{ window }} GROUP BY * SLIMIT 1",
            &[],
        ),
    ] {
        let reading = Reading::of(query).expect(query);
        assert_eq!(reading.flaws(), flaws, "{query}");
    }
}

proptest! {
    #[test]
    fn analysis_4_what_reads_without_a_refusal_is_filled_and_nothing_else(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("{{ x }}"), Just("'"), Just("\""), Just("/"), Just("{{ window }}"), Just("; "),
                Just("\\"), Just("--"), Just("\n"), Just("a ="), Just(" into "), Just("{{"), Just("FROM m "),
            ],
            0..8,
        ),
    ) {
        let query = format!("SELECT {} WHERE {{{{ window }}}}", pieces.concat());
        let sound = Reading::of(&query).is_ok_and(|reading| {
            let _ = reading.flaws();
            let mut names = reading.placeholders().iter();
            reading.refusals().is_empty() && names.all(|name| ["x", WINDOW].contains(name))
        });
        prop_assert_eq!(sound, filled(&query, "v").is_ok(), "{}", query);
    }

    #[test]
    fn analysis_4_no_value_changes_the_structure(
        value in prop_oneof!["\\PC{0,30}", "['\"\\\\;/*{}x -]{0,12}"],
    ) {
        let query = "SELECT sum(\"{{ x }}\") / 2 FROM \"m\" WHERE a = '{{ x }}{{x}}' AND {{ window }} -- c";
        let made = filled(query, &value);
        prop_assume!(!value.chars().any(char::is_control));
        let made = made.expect("a value without control characters");
        let plain = filled(query, "plain").expect("a query");
        prop_assert_eq!(structure(&made), structure(&plain));
        let twice = format!("{value}{value}");
        prop_assert_eq!(quoted(&made), [value.as_str(), "m", twice.as_str()]);
    }

    #[test]
    fn no_query_makes_it_panic(query in "(?s).{0,80}", pieces in "['\"\\\\/*{}; x\n-]{0,40}") {
        let _ = filled(&query, "v");
        let _ = filled(&format!("SELECT {pieces} {{{{ window }}}}"), "v");
        let _ = filled(&format!("SELECT {query} {{{{ window }}}}"), "v");
    }
}
