//! No text, whatever it holds, makes the reader of manifests panic or lose its way.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use rolloutctl::api::Kind;
use rolloutctl::manifest::{Known, Parsed, Source, parse};

/// What holds of every outcome.
fn check(name: &str, source: Source, lines: usize) -> Parsed {
    let parsed = parse(&[source], Known::SourcesOnly);
    for diagnostic in &parsed.diagnostics {
        assert_eq!(diagnostic.file, name);
        assert!(diagnostic.line >= 1 && diagnostic.column >= 1);
        assert!(
            diagnostic.line <= lines + 1,
            "{diagnostic} of {lines} lines"
        );
        assert!(!diagnostic.problem.is_empty() && !diagnostic.remedy.is_empty());
        let shown = diagnostic.to_string();
        assert!(!shown.contains("under any of"), "{shown}");
        // Whatever the types refuse, the schema or a rule has refused in better words.
        for kind in Kind::ALL {
            assert!(
                !shown.contains(&format!("the {kind} cannot be read")),
                "{shown}"
            );
        }
    }
    // Every document is either a resource or told why not.
    assert!(!parsed.resources.is_empty() || !parsed.diagnostics.is_empty());
    parsed
}

fn check_text(text: &str) -> Parsed {
    check(
        "f",
        Source::new("f", text),
        text.split(['\n', '\r']).count(),
    )
}

/// The valid manifests of `examples/`.
fn examples() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut texts: Vec<_> = fs::read_dir(directory)
        .expect("the examples are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .map(|path| fs::read_to_string(path).expect("text"))
        .collect();
    texts.sort();
    texts
}

/// Words and signs that manifests are made of.
fn token() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "apiVersion: rolloutctl.dev/v1alpha1\n",
        "kind: Rollout\n",
        "kind: LoadBalancer\n",
        "metadata:",
        "spec:",
        "name: a",
        "template:",
        "strategy: ",
        "canary:",
        "stages:",
        "weight: ",
        "analysis:",
        "metrics:",
        "query: '{{ window }}'",
        "{{",
        "}}",
        "- ",
        "? ",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "&a ",
        "*a",
        "<<: ",
        "!tag ",
        "!!str ",
        "| ",
        "> ",
        "'",
        "\"",
        "# ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "\t",
        "\r",
        "~",
        ".nan",
        "0o17",
        "1e400",
        "-0",
        "99999999999999999999",
        "30s",
        "true",
        "\u{feff}",
        "\u{0}",
        "\u{85}",
        "ä",
        "\\",
    ]);
    prop_oneof![9 => known.prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        check_text(&text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let lines = bytes.split(|b| matches!(b, b'\n' | b'\r')).count();
        check("f", Source::from_bytes("f", &bytes), lines);
    }

    #[test]
    fn any_soup_of_tokens_is_read_or_refused(tokens in prop::collection::vec(token(), 0..60)) {
        check_text(&tokens.concat());
    }

    #[test]
    fn a_damaged_manifest_is_read_or_refused(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0_usize..40,
        tokens in prop::collection::vec(token(), 0..4),
    ) {
        let texts = examples();
        let mut letters: Vec<char> = which.get(&texts).chars().collect();
        let start = at.index(letters.len());
        let end = letters.len().min(start + length);
        letters.splice(start..end, tokens.concat().chars());
        check_text(&letters.into_iter().collect::<String>());
    }

    #[test]
    fn a_value_of_another_type_is_told(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        value in prop::sample::select(vec!["", " ~", " []", " {}", " 7", " 0.5", " -1", " true", " x", " ''", " [[]]", " {a: b}"]),
    ) {
        let texts = examples();
        let mut lines: Vec<_> = which.get(&texts).lines().map(str::to_owned).collect();
        let index = at.index(lines.len());
        if let Some((key, _)) = lines[index].split_once(':') {
            lines[index] = format!("{key}:{value}");
        }
        check_text(&lines.join("\n"));
    }
}
