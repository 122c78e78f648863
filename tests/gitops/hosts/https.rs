//! `git http-backend` behind TLS. The certificate is vouched for by an authority that nobody knows, as in many a company.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use rolloutctl::gitops::GitAccess;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Bench, run, until_applied, until_refused};

const TOKEN: &str = "glpat-s3cr3t-t0ken";

/// A host that wants the user `oauth2` and the token.
struct Host {
    bench: Bench,
    url: String,
}

impl Host {
    fn new() -> Self {
        let bench = Bench::new();
        certificates(&bench);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let config = Arc::new(config(&bench));
        let root = bench.root.path().to_owned();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, root) = (config.clone(), root.clone());
                std::thread::spawn(move || {
                    let connection = ServerConnection::new(config).expect("a configuration");
                    // Who hangs up, or trusts us not, is told nothing.
                    drop(answer(StreamOwned::new(connection, stream), &root));
                });
            }
        });
        let url = format!("https://localhost:{port}/specs.git");
        Self { bench, url }
    }

    fn access(&self, token: &str) -> GitAccess {
        GitAccess {
            username: "oauth2".to_owned(),
            token_file: Some(self.bench.file("token", &format!("{token}\n"))),
            ca_file: Some(self.bench.path("ca.pem")),
            ..GitAccess::default()
        }
    }
}

/// An authority, and a certificate of `localhost` from it.
fn certificates(bench: &Bench) {
    let root = bench.root.path();
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    let request = |more: &[&str]| run("openssl", &[&["req"][..], &key, more].concat(), root);
    request(&[
        "-x509",
        "-days",
        "2",
        "-subj",
        "/CN=A company",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    ]);
    request(&[
        "-subj",
        "/CN=localhost",
        "-keyout",
        "host.key",
        "-out",
        "host.csr",
    ]);
    bench.file("names", "subjectAltName=DNS:localhost\n");
    let sign = [
        "x509",
        "-req",
        "-days",
        "2",
        "-in",
        "host.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-extfile",
        "names",
        "-out",
        "host.pem",
    ];
    run("openssl", &sign, root);
}

fn config(bench: &Bench) -> ServerConfig {
    let certificate = CertificateDer::from_pem_file(bench.path("host.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(bench.path("host.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they fit")
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// Answers one request, as RFC 3875 has a server call a program.
fn answer(stream: Stream, root: &PathBuf) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = std::collections::BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let length = header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let pass = base64::engine::general_purpose::STANDARD.encode(format!("oauth2:{TOKEN}"));
    let reply = if header("authorization") == format!("Basic {pass}") {
        let mut program = Command::new("git");
        program
            .arg("http-backend")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GIT_PROJECT_ROOT", root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "safe.directory")
            .env("GIT_CONFIG_VALUE_0", "*")
            .env("REQUEST_METHOD", method)
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", length.to_string())
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("GIT_PROTOCOL", header("git-protocol"));
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        child.stdin.take().expect("piped").write_all(&body)?;
        child.wait_with_output()?.stdout
    } else {
        b"Status: 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"specs\"\r\n\r\n".to_vec()
    };
    let text = String::from_utf8_lossy(&reply);
    let status = text
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK");
    let stream = stream.get_mut();
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
    stream.write_all(&reply)?;
    stream.conn.send_close_notify();
    stream.flush()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_read_by_https_with_its_token_and_the_companys_certificates() {
    let host = Host::new();
    until_applied(&host.url, host.access(TOKEN)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_told_and_not_shown() {
    let host = Host::new();
    let words = ["fetch main of https://localhost:", "Authentication failed"];
    let wrong = "glpat-another-s3cr3t";
    until_refused(&host.url, host.access(wrong), &words, &[wrong]).await;
    let none = GitAccess {
        token_file: None,
        ..host.access(wrong)
    };
    until_refused(&host.url, none, &["--token-file"], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_refused_with_the_remedy() {
    let host = Host::new();
    let access = GitAccess {
        ca_file: None,
        ..host.access(TOKEN)
    };
    let words = ["certificate", "--ca-file"];
    until_refused(&host.url, access, &words, &[TOKEN]).await;
    let access = GitAccess {
        ca_file: Some("/nowhere/ca.pem".into()),
        ..host.access(TOKEN)
    };
    until_refused(&host.url, access, &["/nowhere/ca.pem"], &[TOKEN]).await;
}
