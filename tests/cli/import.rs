//! `import -f`: the program reads a Compose file, its environment and the files beside it.

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
