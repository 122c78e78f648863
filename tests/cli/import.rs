//! `import -f`: the program reads a Compose file, its environment and the files beside it.

use super::engine;
use super::{code, manifest, program, run, stderr, stdout};

const STACK: &str = "services:
  web:
    image: web:${TAG}
    env_file: web.env
    networks: [news]
    ulimits: {nofile: 9}
    deploy: {replicas: 3}
networks: {news: {external: true}}
";

#[test]
fn a_compose_file_becomes_a_manifest_that_is_valid() {
    let directory = tempfile::tempdir().expect("a directory");
    manifest(directory.path(), "web.env", "A=from the file\n");
    let file = manifest(directory.path(), "stack.yml", STACK);
    let words = [
        "import", "news_web", "--stack", "news", "-f", &file, "--port", "8080",
    ];
    let imported = program(&words)
        .env("TAG", "1.4")
        .output()
        .expect("the program runs");
    assert_eq!(code(&imported), Some(0), "{imported:?}");
    let told = stderr(&imported);
    assert!(
        told.contains("stack.yml:6:14: services.web.ulimits: not taken over: "),
        "{told}"
    );
    let text = stdout(&imported);
    for expected in [
        "name: news-web",
        "image: web:1.4",
        "A: from the file",
        "replicas: 3",
    ] {
        assert!(text.contains(expected), "{expected} of {text}");
    }
    let written = manifest(directory.path(), "news-web.yaml", &text);
    let validated = run(&["validate", "-f", &written]);
    assert_eq!(code(&validated), Some(0), "{validated:?}");
}

#[test]
fn what_is_wrong_with_a_compose_file_is_told_with_its_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = manifest(directory.path(), "stack.yml", STACK);
    let imported = run(&["import", "shop", "-f", &file]);
    assert_eq!(code(&imported), Some(1), "{imported:?}");
    assert!(imported.stdout.is_empty(), "{imported:?}");
    let told = stderr(&imported);
    assert!(
        told.contains("stack.yml:2:3: services: there is no service `shop`"),
        "{told}"
    );
    let unread = run(&["import", "web", "-f", &file]);
    assert!(
        stderr(&unread).contains("web.env cannot be read"),
        "{unread:?}"
    );
}

/// Whether the rollout is there already or not: what comes by a published port is lost with the service's tasks.
#[test]
fn a_published_port_is_asked_about_before_a_service_is_taken_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let service = serde_json::json!({
        "ID": "abc", "Version": {"Index": 7},
        "Spec": {
            "Name": "news_web",
            "TaskTemplate": {"ContainerSpec": {"Image": "web:1"}},
            "Mode": {"Replicated": {"Replicas": 2}},
            "EndpointSpec": {"Ports": [
                {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"},
                {"Protocol": "tcp", "TargetPort": 81, "PublishMode": "ingress"},
                {"Protocol": "tcp", "TargetPort": 82, "PublishedPort": 82, "PublishMode": "host"},
                {"Protocol": "tcp", "TargetPort": 83, "PublishMode": "host"},
            ]},
        },
    });
    let address = engine::managing(directory.path(), "news_web", &service);
    let take_over = |more: &[&str]| {
        let words = ["import", "news_web", "--take-over"];
        let output = program(&[&words[..], more].concat())
            .env("DOCKER_HOST", &address)
            .output()
            .expect("the program runs");
        (code(&output), stderr(&output))
    };
    let (refused, told) = take_over(&[]);
    assert_eq!(refused, Some(1), "{told}");
    let wanted = "nothing was done: news_web is reached by port 8080/tcp of every node, a port of the engine's choice of every node, port 82/tcp of each node with a task, which";
    assert!(told.contains(wanted), "{told}");
    assert!(told.trim_end().ends_with("--drop-ports"), "{told}");
    let (_, told) = take_over(&["--drop-ports"]);
    assert!(!told.contains("--drop-ports"), "{told}");
    assert!(told.contains("nothing is guessed"), "{told}");
}
