//! Broken manifests and what is said of each: exactly the findings that stand as
//! `# expect: LINE:COLUMN: FIELD: PROBLEM; REMEDY` in the file itself, no more and no fewer.
//!
//! `UPDATE_EXPECT=1 cargo test --test manifest` writes what is found into the files; read the
//! difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use rolloutctl::api::{Kind, Resource};
use rolloutctl::manifest::{Applied, Diagnostic, Known, Severity, Source, parse};

const MARK: &str = "# expect: ";

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The manifests in a directory, by name.
fn manifests(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory(name)).expect("the directory is there");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("the directory can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml" || e == "yml"))
        .collect();
    paths.sort();
    paths
}

/// Finds what is wrong with `text` and gives it without the file's name.
fn found(text: &str) -> Vec<String> {
    let parsed = parse(&[Source::new("f", text)], Known::SourcesOnly);
    lines(&parsed.diagnostics)
}

fn lines(diagnostics: &[Diagnostic]) -> Vec<String> {
    let shown = diagnostics.iter().map(ToString::to_string);
    shown
        .map(|line| line.strip_prefix("f:").map(str::to_owned).unwrap_or(line))
        .collect()
}

fn update(path: &Path, text: &str, found: &[String]) {
    let kept = text
        .lines()
        .filter(|line| !line.starts_with(MARK.trim_end()));
    let expectations = found.iter().map(|line| format!("{MARK}{line}"));
    let fresh: Vec<_> = kept.map(str::to_owned).chain(expectations).collect();
    fs::write(path, fresh.join("\n") + "\n").expect("the manifest can be written");
}

#[test]
fn broken_manifests_are_told_exactly_what_is_wrong() {
    let paths = manifests("tests/manifests/broken");
    assert!(paths.len() >= 60, "only {} broken manifests", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("the manifest is text");
        let found = found(&text);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            update(&path, &text, &found);
            continue;
        }
        let expected: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix(MARK))
            .collect();
        assert!(!expected.is_empty(), "{} expects nothing", path.display());
        if expected != found {
            wrong.push(format!(
                "{}\n  expected:\n    {}\n  found:\n    {}",
                path.display(),
                expected.join("\n    "),
                found.join("\n    ")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn examples_and_specs_are_valid_without_a_warning() {
    // Each example stands for itself; the specs are one whole.
    let mut wholes: Vec<_> = manifests("examples")
        .into_iter()
        .map(|path| vec![path])
        .collect();
    wholes.push(manifests("specs"));
    let of_pipeline = ["rollout.yaml", "shared.yaml"];
    wholes.push(
        of_pipeline
            .map(|file| directory("examples/ci").join(file))
            .to_vec(),
    );
    for paths in wholes {
        let read = |path: &std::path::PathBuf| {
            let bytes = fs::read(path).expect("the manifest can be read");
            Source::from_bytes(path.display().to_string(), &bytes)
        };
        let sources: Vec<_> = paths.iter().map(read).collect();
        let parsed = parse(&sources, Known::SourcesOnly);
        assert_eq!(lines(&parsed.diagnostics), Vec::<String>::new());
        assert!(
            parsed.resources.len() >= paths.len(),
            "{paths:?}: one is empty"
        );
    }
    assert!(manifests("examples").len() >= 12, "examples are missing");
}

/// What a resource says is read back as the same resource.
#[test]
fn examples_survive_a_round_trip() {
    for path in manifests("examples") {
        let bytes = fs::read(&path).expect("the manifest can be read");
        let first = parse(&[Source::from_bytes("f", &bytes)], Known::SourcesOnly);
        let written: Vec<_> = first
            .resources
            .iter()
            .map(|located| format!("---\n{:#}\n", located.resource.to_json()))
            .collect();
        let second = parse(&[Source::new("f", &written.concat())], Known::SourcesOnly);
        let resources = |located: Vec<rolloutctl::manifest::Located>| -> Vec<Resource> {
            located.into_iter().map(|l| l.resource).collect()
        };
        assert_eq!(lines(&second.diagnostics), Vec::<String>::new());
        assert_eq!(resources(second.resources), resources(first.resources));
    }
}

const EDGE: &str = "\
apiVersion: rolloutctl.dev/v1alpha1
kind: LoadBalancer
metadata: {name: edge}
spec: {haproxy: {instances: [{name: lb, address: 'unix:///run/haproxy.sock'}]}}
";

fn web(name: &str, load_balancer: &str) -> String {
    format!(
        "\
apiVersion: rolloutctl.dev/v1alpha1
kind: Rollout
metadata: {{name: {name}}}
spec:
  template: {{image: 'web:1'}}
  traffic: {{loadBalancer: {load_balancer}, backend: web, port: 80, reach: host}}
  strategy: {{canary: {{stages: [{{weight: 50}}]}}}}
"
    )
}

#[test]
fn a_broken_document_does_not_hide_the_others() {
    let text = format!("{EDGE}---\nkind: [\n---\n{}", web("a", "edge"));
    let parsed = parse(&[Source::new("f", &text)], Known::SourcesOnly);
    let kinds: Vec<_> = parsed.resources.iter().map(|l| l.resource.kind()).collect();
    assert_eq!(kinds, [Kind::LoadBalancer, Kind::Rollout]);
    assert_eq!(
        (parsed.resources[1].line, parsed.resources[1].column),
        (8, 1)
    );
    assert_eq!(parsed.diagnostics.len(), 1, "{:?}", parsed.diagnostics);
    assert!(parsed.has_errors());
}

#[test]
fn references_to_what_is_applied_must_lead_somewhere() {
    let applied: Vec<_> = parse(&[Source::new("f", EDGE)], Known::SourcesOnly)
        .resources
        .into_iter()
        .map(|located| Applied::from(located.resource))
        .collect();
    let check = |text: &str| {
        let parsed = parse(&[Source::new("f", text)], Known::Applied(&applied));
        lines(&parsed.diagnostics)
    };
    assert_eq!(check(&web("a", "edge")), Vec::<String>::new());
    assert_eq!(
        check(&web("a", "other")),
        [
            "6:27: spec.traffic.loadBalancer: there is no LoadBalancer `other`; apply it together with this, or name one that exists"
        ]
    );
    let alone = parse(&[Source::new("f", &web("a", "other"))], Known::SourcesOnly);
    assert_eq!(alone.diagnostics[0].severity, Severity::Warning);
    assert_eq!(alone.resources.len(), 1);
}

#[test]
fn safety_4_the_later_claim_of_an_applied_backend_is_an_error() {
    let applied: Vec<_> = parse(
        &[Source::new("f", EDGE), Source::new("g", &web("a", "edge"))],
        Known::SourcesOnly,
    )
    .resources
    .into_iter()
    .map(|located| Applied::from(located.resource))
    .collect();
    let check = |text: &str| parse(&[Source::new("f", text)], Known::Applied(&applied));
    assert!(!check(&web("a", "edge")).has_errors(), "it replaces itself");
    assert_eq!(
        lines(&check(&web("b", "edge")).diagnostics),
        [
            "6:42: spec.traffic.backend: the applied Rollout `a` has this backend of this load balancer; give each rollout a backend of its own; two would undo each other's weights"
        ]
    );
}

#[test]
fn safety_4_who_has_servers_in_a_backend_may_change_whoever_else_claims_it() {
    let both = [web("a", "edge"), web("b", "edge")].map(|text| {
        let parsed = parse(&[Source::new("f", &text)], Known::SourcesOnly);
        let mut applied: Vec<_> = parsed.resources.into_iter().collect();
        Applied::from(applied.pop().expect("a rollout").resource)
    });
    let [mut first, rival] = both;
    if let Resource::Rollout(rollout) = &first.resource {
        first.route = rollout.spec.route();
    }
    let edge = parse(&[Source::new("f", EDGE)], Known::SourcesOnly).resources;
    let edge = edge.into_iter().map(|located| located.resource.into());
    let applied: Vec<_> = edge.chain([first, rival]).collect();
    let check = |text: &str| parse(&[Source::new("f", text)], Known::Applied(&applied));
    assert!(!check(&web("a", "edge")).has_errors(), "it has the backend");
    assert!(check(&web("b", "edge")).has_errors(), "the rival has not");
}

#[test]
fn safety_4_a_rollout_stays_where_its_servers_are() {
    let parsed = parse(
        &[Source::new("f", EDGE), Source::new("g", &web("a", "edge"))],
        Known::SourcesOnly,
    );
    let applied: Vec<_> = parsed
        .resources
        .into_iter()
        .map(|located| {
            let route = match &located.resource {
                Resource::Rollout(rollout) => rollout.spec.route(),
                _ => None,
            };
            Applied {
                resource: located.resource,
                route,
            }
        })
        .collect();
    let check = |text: &str| parse(&[Source::new("f", text)], Known::Applied(&applied));
    assert!(!check(&web("a", "edge")).has_errors(), "it stays");
    let moved = web("a", "edge").replace("backend: web", "backend: wbe");
    assert_eq!(
        lines(&check(&moved).diagnostics),
        [
            "6:42: spec.traffic.backend: the rollout's servers are in backend `web` of load balancer `edge`, and would be left behind, serving; write web, or apply this under another name and delete the rollout"
        ]
    );
}

#[test]
fn places_are_the_same_with_a_byte_order_mark_and_foreign_line_breaks() {
    let text = web("a", "edge").replace("weight: 50", "wieght: 50");
    let plain = found(&text);
    assert_eq!(
        plain[1],
        "7:33: spec.strategy.canary.stages[0].wieght: unknown field; did you mean `weight`?"
    );
    assert_eq!(found(&format!("\u{feff}{text}")), plain);
    assert_eq!(found(&text.replace('\n', "\r\n")), plain);
    assert_eq!(found(&text.replace('\n', "\r")), plain);
}

#[test]
fn files_that_are_no_text_are_refused_at_the_place() {
    let source = Source::from_bytes("f", b"kind: Rollout\n# gr\xfc\xdfe\n");
    let parsed = parse(&[source], Known::SourcesOnly);
    assert_eq!(
        lines(&parsed.diagnostics),
        [
            "2:5: document: the file is not UTF-8 text from here on; save it as UTF-8; check that it is a manifest"
        ]
    );
}

#[test]
fn alias_bombs_and_deep_nesting_are_refused_quickly() {
    let levels = (1..12).map(|level| {
        let before = format!("*a{}, ", level - 1).repeat(9);
        format!("a{level}: &a{level} [{before}]\n")
    });
    let bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned() + &levels.collect::<String>();
    let texts = [
        bomb,
        format!(
            "a: &a \"{}\"\nb: [{}]\n",
            "x".repeat(1 << 20),
            "*a, ".repeat(10_000)
        ),
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "a: &a [*a]\n".to_owned(),
        "x".repeat(5 << 20),
        format!("a: [{}]\n", "1, ".repeat(200_000)),
    ];
    for text in texts {
        let parsed = parse(&[Source::new("f", &text)], Known::SourcesOnly);
        assert!(parsed.has_errors());
        assert!(parsed.resources.is_empty());
        assert_eq!(parsed.diagnostics.len(), 1, "{:?}", parsed.diagnostics);
    }
}

#[test]
fn what_an_environment_holds_is_not_shown() {
    let text = web("a", "edge").replace(
        "image: 'web:1'",
        "image: 'web:1', environment: {DB_PASSWORD: hunter2, OTHER: [hunter3]}",
    );
    let shown = found(&text).join("\n");
    assert!(
        shown.contains("DB_PASSWORD") && shown.contains("OTHER"),
        "{shown}"
    );
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn analysis_2_a_query_without_a_window_is_refused() {
    let analysis =
        "spec:\n  analysis:\n    metrics: [{name: m, source: s, query: SELECT 1, max: 1}]";
    let shown = found(&web("a", "edge").replace("spec:", analysis)).join("\n");
    assert!(shown.contains("query has no `{{ window }}`"), "{shown}");
}
