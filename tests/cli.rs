//! The program as it is run: what needs no Docker, and what it says when there is none.

#[path = "cli/ci.rs"]
mod ci;
#[path = "cli/edits.rs"]
mod edits;
#[path = "cli/endless.rs"]
mod endless;
#[path = "cli/engine.rs"]
mod engine;
#[path = "cli/import.rs"]
mod import;
#[path = "cli/sources.rs"]
mod sources;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/unusable.rs"]
mod unusable;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const GOOD: &str = "apiVersion: rolloutctl.dev/v1alpha1
kind: LoadBalancer
metadata: {name: edge}
spec: {haproxy: {instances: [{name: lb-1, address: 'unix:///run/haproxy/admin.sock'}]}}
";

const BAD: &str = "apiVersion: rolloutctl.dev/v1alpha1
kind: LoadBalancer
metadata: {name: edge}
spec: {haproxy: {instances: [{name: lb-1, adress: 'unix:///run/haproxy/admin.sock'}]}}
";

/// The program with these arguments, an engine that is not there and no colours asked for.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rolloutctl"));
    command
        .args(arguments)
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .env_remove("DOCKER_CONTEXT")
        .env_remove("ROLLOUTCTL_LOG")
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    program(arguments).output().expect("the program runs")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn manifest(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

#[test]
fn help_and_version_are_answers_and_nonsense_is_a_usage_error() {
    for (arguments, expected) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["help", "status"], 0),
        (&[], 2),
        (&["deploy"], 2),
        (&["status"], 2),
        (&["get", "pods"], 2),
        (&["status", "lb/edge"], 2),
        (&["status", "a", "--timeout", "5m"], 2),
        (&["help", "undo"], 0),
        (&["history"], 2),
        (&["history", "lb/edge"], 2),
        (&["history", "a", "--revision", "v1"], 2),
        (&["undo"], 2),
        (&["undo", "lb/edge"], 2),
        (&["undo", "a", "--to-revision"], 2),
        (&["undo", "a", "--to-revision", ""], 2),
        (&["undo", "a", "--to-revision", "0123456789a"], 2),
        (&["undo", "a", "b"], 2),
        (&["help", "import"], 0),
        (&["import"], 2),
        (&["import", "a", "--stack", "s"], 2),
        (&["import", "a", "--server", "s"], 2),
        (&["import", "a", "-f", "/nonexistent.yml"], 2),
        (&["import", "a", "-f", "a.yml", "--take-over"], 2),
        (&["delete", "rollout/a", "--timeout", "5m"], 2),
        (&["status", "a", "--wait", "--timeout", "5"], 2),
        (&["delete"], 2),
        (&["delete", "rollout"], 2),
        (&["validate", "-f", "/nonexistent.yaml"], 2),
        (&["--context", "a", "--host", "b", "get"], 2),
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), Some(expected), "{arguments:?}: {output:?}");
        assert_eq!(output.stderr.is_empty(), expected == 0, "{arguments:?}");
    }
}

#[test]
fn valid_manifests_are_counted() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = manifest(directory.path(), "edge.yaml", GOOD);
    let output = run(&["validate", "-f", &file]);
    assert_eq!(code(&output), Some(0), "{output:?}");
    assert_eq!(stdout(&output), "1 resource valid\n");
}

#[test]
fn warnings_are_counted_too() {
    const WEB: &str = "apiVersion: rolloutctl.dev/v1alpha1
kind: Rollout
metadata: {name: NAME}
spec:
  replicas: 1
  template: {image: 'web:1.0'}
  traffic: {loadBalancer: elsewhere, backend: NAME, port: 80, reach: host}
  strategy: {canary: {stages: [{weight: 50}]}}
";
    let directory = tempfile::tempdir().expect("a directory");
    manifest(directory.path(), "edge.yaml", GOOD);
    manifest(directory.path(), "web.yaml", &WEB.replace("NAME", "web"));
    let path = directory.path().display().to_string();
    let output = run(&["validate", "-f", &path]);
    assert_eq!(code(&output), Some(0), "{output:?}");
    let closing = stdout(&output);
    assert!(
        closing.ends_with("\n2 resources valid, 1 warning\n"),
        "{closing}"
    );
    manifest(directory.path(), "shop.yaml", &WEB.replace("NAME", "shop"));
    let closing = stdout(&run(&["validate", "-f", &path]));
    assert!(
        closing.ends_with("\n3 resources valid, 2 warnings\n"),
        "{closing}"
    );
    manifest(directory.path(), "bad.yaml", BAD);
    let output = run(&["validate", "-f", &path]);
    assert!(stderr(&output).contains(", 2 warnings"), "{output:?}");
}

#[test]
fn every_error_is_told_with_its_place_and_remedy() {
    let directory = tempfile::tempdir().expect("a directory");
    manifest(directory.path(), "a.yaml", BAD);
    manifest(directory.path(), "b.yml", "kind: Rollot\n");
    let output = run(&["validate", "-f", &directory.path().display().to_string()]);
    assert_eq!(code(&output), Some(1));
    let text = stdout(&output);
    assert!(
        text.contains("a.yaml:4:43: spec.haproxy.instances[0].adress:"),
        "{text}"
    );
    assert!(text.contains("b.yml:1:"), "{text}");
}

#[test]
fn programs_get_the_findings_as_json() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = manifest(directory.path(), "bad.yaml", BAD);
    let output = run(&["validate", "-o", "json", "-f", &file]);
    assert_eq!(code(&output), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["valid"], false);
    assert_eq!(report["diagnostics"][0]["line"], 4);
    assert_eq!(report["diagnostics"][0]["severity"], "error");
}

#[test]
fn manifests_come_from_standard_input() {
    use std::io::Write;
    let mut child = program(&["validate", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(GOOD.as_bytes()).expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("ends");
    assert_eq!(stdout(&output), "1 resource valid\n");
}

#[test]
fn wrong_manifests_are_refused_before_the_swarm_is_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = manifest(directory.path(), "bad.yaml", BAD);
    let apply = run(&["apply", "-f", &file]);
    assert_eq!(code(&apply), Some(1), "{apply:?}");
    assert!(stderr(&apply).contains("bad.yaml:4:43"), "{apply:?}");
    assert!(apply.stdout.is_empty());
    // For `diff`, 1 says that there are differences.
    assert_eq!(code(&run(&["diff", "-f", &file])), Some(2));
}

#[test]
fn a_swarm_that_is_not_there_is_exit_code_4() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = manifest(directory.path(), "edge.yaml", GOOD);
    for arguments in [
        &["get"][..],
        &["apply", "-f", &file],
        &["diff", "-f", &file],
        &["describe", "rollout/a"],
        &["status", "a"],
        &["import", "a"],
        &["promote", "a"],
        &["delete", "lb/edge"],
        &["-H", "unix:///nonexistent/other.sock", "get"],
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), Some(4), "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains("/nonexistent/"), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn preflight_without_a_swarm_fails_and_says_how_to_choose_one() {
    let output = run(&["preflight"]);
    assert_eq!(code(&output), Some(4), "{output:?}");
    assert!(stdout(&output).starts_with("FAIL engine: "), "{output:?}");
    assert!(stdout(&output).contains("--context"), "{output:?}");
    let output = run(&["preflight", "-o", "json"]);
    assert_eq!(code(&output), Some(4), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["passed"], false);
    assert_eq!(report["findings"][0]["grade"], "fail");
}

/// Which Swarm is meant is a question of usage, whatever is then asked of it.
#[test]
fn a_swarm_that_cannot_be_meant_is_a_usage_error() {
    for chosen in [
        ["-H", "docker.example:2376"],
        ["-H", "ftp://docker.example"],
        ["--context", "no-such-context"],
    ] {
        for command in [&["get"][..], &["status", "a"], &["preflight"]] {
            let arguments = [&chosen[..], command].concat();
            let output = run(&arguments);
            assert_eq!(code(&output), Some(2), "{arguments:?}: {output:?}");
            assert!(stderr(&output).contains(chosen[1]), "{output:?}");
        }
    }
}

#[test]
fn what_was_only_read_is_not_said_to_be_done_perhaps() {
    for arguments in [&["get"][..], &["preflight"], &["abort", "a"]] {
        let output = run(arguments);
        let said = stdout(&output) + &stderr(&output);
        assert!(said.contains("/nonexistent/"), "{arguments:?}: {said}");
        assert!(!said.contains("not known"), "{arguments:?}: {said}");
    }
}

/// The arguments of a collector that would run, were it not for `more`.
fn collector<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let sound = [
        "collector",
        "--listen=udp://127.0.0.1:0",
        "--influxdb=http://127.0.0.1:9",
        "--database=rollouts",
    ];
    [&sound, more].concat()
}

/// One that starts all the same is ended after a while, and has no exit code then.
fn run_for_a_while(arguments: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_rolloutctl");
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", "20", binary])
        .args(arguments);
    command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    command.output().expect("the program runs")
}

#[test]
fn a_collector_without_its_token_does_not_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let empty = manifest(directory.path(), "empty", "\n");
    let two_lines = manifest(directory.path(), "two-lines", "a\nb\n");
    for file in ["/nonexistent/token", &empty, &two_lines] {
        let output = run_for_a_while(&collector(&["--token-file", file]));
        assert_eq!(code(&output), Some(2), "{output:?}");
        assert!(stderr(&output).contains(file), "{output:?}");
        assert!(stderr(&output).contains("--token-file"), "{output:?}");
    }
}

#[test]
fn a_collector_that_could_keep_nothing_does_not_start() {
    let output = run_for_a_while(&collector(&["--buffer", "0"]));
    assert_eq!(code(&output), Some(2), "{output:?}");
    assert!(stderr(&output).contains("--buffer 0"), "{output:?}");
    assert!(stderr(&output).contains("200000"), "{output:?}");
}

#[test]
fn an_address_that_is_none_is_answered_with_one() {
    let mut named = collector(&[]);
    named[1] = "--listen=udp://localhost:5514";
    for (arguments, right) in [
        (&["controller", "--listen", "9180"][..], "127.0.0.1:9180"),
        (&["controller", "--listen", "localhost"], "127.0.0.1:9180"),
        (&named, "udp://127.0.0.1:5514"),
    ] {
        let output = run_for_a_while(arguments);
        assert_eq!(code(&output), Some(2), "{output:?}");
        assert!(stderr(&output).contains(right), "{output:?}");
    }
}

#[test]
fn an_address_that_cannot_be_had_is_told_with_what_to_do() {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let udp_taken = format!("--listen=udp://{}", udp.local_addr().expect("an address"));
    let tcp_taken = format!("--listen={}", tcp.local_addr().expect("an address"));
    let collects_at = |listen| {
        let mut arguments = collector(&[]);
        arguments[1] = listen;
        arguments
    };
    // The controller tells so although its Swarm is not there.
    for (arguments, remedy) in [
        (collects_at(&udp_taken), "ss -lunp"),
        (
            collects_at("--listen=udp://203.0.113.1:5514"),
            "udp://0.0.0.0:5514",
        ),
        (vec!["controller", &tcp_taken], "ss -ltnp"),
    ] {
        let output = run_for_a_while(&arguments);
        assert_eq!(code(&output), Some(1), "{output:?}");
        assert!(stderr(&output).contains(remedy), "{output:?}");
        assert!(stderr(&output).contains("--listen"), "{output:?}");
    }
}

#[test]
fn a_manifest_without_its_option_is_told_the_option() {
    for command in ["validate", "apply", "diff", "preflight"] {
        for stray in ["web.yaml", "-"] {
            let output = run(&[command, stray]);
            assert_eq!(code(&output), Some(2), "{output:?}");
            let hint = format!("rolloutctl {command} -f {stray}");
            assert!(stderr(&output).contains(&hint), "{output:?}");
        }
    }
    let output = run(&["delete", "specs/web.yaml"]);
    assert_eq!(code(&output), Some(2), "{output:?}");
    assert!(stderr(&output).contains("-f specs/web.yaml"), "{output:?}");
    // Other strangers are no manifests.
    let output = run(&["validate", "-f", "a.yaml", "--strict"]);
    assert!(!stderr(&output).contains("-f --strict"), "{output:?}");
    let output = run(&["schema", "rollout", "web.yaml"]);
    assert!(!stderr(&output).contains("-f web.yaml"), "{output:?}");
}

#[test]
fn a_misspelt_kind_is_guessed() {
    for arguments in [
        &["get", "rolouts"][..],
        &["describe", "rolout/web"],
        &["delete", "rolout", "web"],
        &["status", "rolout/web"],
        &["schema", "rolout"],
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), Some(2), "{output:?}");
        assert!(
            stderr(&output).contains("did you mean rollout"),
            "{output:?}"
        );
    }
}

#[test]
fn what_is_no_revision_is_answered_with_where_they_are_listed() {
    for arguments in [
        &["undo", "a", "--to-revision", "v1.4.1"][..],
        &["history", "a", "--revision", "ABC"],
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), Some(2), "{output:?}");
        for word in ["10 lower-case hexadecimal digits", "rolloutctl history"] {
            assert!(stderr(&output).contains(word), "{output:?}");
        }
    }
}

#[test]
fn schemas_are_printed_for_one_kind_or_all() {
    let one = run(&["schema", "rollout"]);
    let schema: serde_json::Value = serde_json::from_slice(&one.stdout).expect("JSON");
    assert_eq!(schema["title"], "Rollout");
    let all = run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&all.stdout).expect("JSON");
    assert!(schema["$defs"]["LoadBalancer"].is_object());
    assert_eq!(code(&run(&["schema", "pod"])), Some(2));
}

#[test]
fn completion_knows_the_subcommands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completion", shell]);
        assert_eq!(code(&output), Some(0));
        for word in ["preflight", "history", "undo", "to-revision"] {
            assert!(stdout(&output).contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let mut child = program(&["schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!(stderr(&output), "");
    // 141 unless the whole answer went into the pipe before it was closed.
    assert!(matches!(code(&output), Some(0 | 141)), "{output:?}");
}

#[test]
fn a_filter_that_makes_no_sense_is_a_usage_error() {
    let output = program(&["schema"])
        .env("ROLLOUTCTL_LOG", "rolloutctl=loud=er")
        .output()
        .expect("the program runs");
    assert_eq!(code(&output), Some(2), "{output:?}");
    assert!(stderr(&output).contains("ROLLOUTCTL_LOG"), "{output:?}");
}
