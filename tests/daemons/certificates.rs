//! Where no CA certificates are installed, as in an image made from scratch.

use std::path::Path;

use super::daemon::{Daemon, Signal};

/// A collector that writes to `url`, and looks for CA certificates in a directory that is empty.
fn collector(url: &str, empty: &Path) -> Daemon {
    let listen = ["--listen", "udp://127.0.0.1:0", "--log-format", "json"];
    let write = ["--influxdb", url, "--database", "rollouts"];
    let arguments = [&["collector"][..], &listen, &write].concat();
    Daemon::start(&arguments, |command| {
        command
            .env("SSL_CERT_FILE", empty.join("none.pem"))
            .env("SSL_CERT_DIR", empty);
    })
}

#[tokio::test]
async fn a_collector_needs_no_certificates_for_http() {
    let empty = tempfile::tempdir().expect("a directory");
    let mut collector = collector("http://127.0.0.1:1", empty.path());
    collector.says("listening on udp://").await;
    collector.signal(Signal::Terminate).await;
    assert_eq!(collector.exit_code().await, Some(0), "{}", collector.log());
}

#[tokio::test]
async fn a_collector_without_certificates_says_how_to_have_them_for_https() {
    let empty = tempfile::tempdir().expect("a directory");
    for url in ["https://127.0.0.1:1", "HTTPS://127.0.0.1:1"] {
        let mut collector = collector(url, empty.path());
        assert_eq!(collector.exit_code().await, Some(1), "{url}");
        let log = collector.log();
        for words in ["cannot use https", "ca-certificates", "SSL_CERT_FILE", url] {
            assert!(log.contains(words), "{words} is missing: {log}");
        }
        assert!(!log.contains("is not the URL"), "the URL is fine: {log}");
    }
}
