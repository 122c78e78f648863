//! An `sshd` on a port of its own, with a host key and authorized keys of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use rolloutctl::gitops::GitAccess;

use super::{Bench, run, until_applied, until_refused};

const SSHD: &str = "/usr/sbin/sshd";

struct Host {
    bench: Bench,
    sshd: Child,
    port: u16,
    url: String,
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.sshd.kill());
        drop(self.sshd.wait());
    }
}

impl Host {
    /// None where no sshd is installed and nobody has asked for it.
    fn new() -> Option<Self> {
        if !std::path::Path::new(SSHD).exists() {
            let is_wanted = std::env::var_os("GIT_HOSTS").is_some();
            assert!(
                !is_wanted,
                "{SSHD} is not there (Debian: apt-get install openssh-server)"
            );
            eprintln!("not run: {SSHD} is not there (Debian: apt-get install openssh-server)");
            return None;
        }
        let bench = Bench::new();
        let root = bench.root.path();
        for key in ["host", "user", "other"] {
            run(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-f", key],
                root,
            );
        }
        let authorized = fs::read_to_string(bench.path("user.pub")).expect("a key");
        bench.file("authorized", &authorized);
        let port = free_port();
        bench.file("sshd_config", &format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {root}/host\nAuthorizedKeysFile {root}/authorized\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nLogLevel INFO\n",
            root = root.display()
        ));
        // Where it gives up its rights, if it runs with any.
        drop(fs::create_dir_all("/run/sshd"));
        let mut sshd = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(bench.path("sshd_config"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("sshd starts");
        let mut log = BufReader::new(sshd.stderr.take().expect("piped")).lines();
        let listens = log
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains("Server listening"));
        assert!(listens, "sshd does not listen");
        // It is to say on what it likes.
        std::thread::spawn(move || log.for_each(drop));
        TcpStream::connect(("127.0.0.1", port)).expect("sshd listens");
        let user = Command::new("id")
            .arg("-un")
            .output()
            .expect("id runs")
            .stdout;
        let user = String::from_utf8_lossy(&user).trim().to_owned();
        let url = format!(
            "ssh://{user}@127.0.0.1:{port}{}",
            bench.path("specs.git").display()
        );
        Some(Self {
            bench,
            sshd,
            port,
            url,
        })
    }

    /// Access with this private key, to the host with this one.
    fn access(&self, key: &str, host: Option<&str>) -> GitAccess {
        let known = host.map_or_else(String::new, |host| {
            let text = fs::read_to_string(self.bench.path(&format!("{host}.pub"))).expect("a key");
            format!("[127.0.0.1]:{} {text}", self.port)
        });
        GitAccess {
            username: "git".to_owned(),
            ssh_key: Some(self.bench.path(key)),
            known_hosts: Some(self.bench.file("known_hosts", &known)),
            ..GitAccess::default()
        }
    }
}

/// A port that was free a moment ago: sshd takes none by itself.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_read_by_ssh_with_its_key() {
    let Some(host) = Host::new() else { return };
    until_applied(&host.url, host.access("user", Some("host"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told() {
    let Some(host) = Host::new() else { return };
    let words = ["Permission denied (publickey)", "--ssh-key"];
    until_refused(
        &host.url,
        host.access("other", Some("host")),
        &words,
        &["PRIVATE KEY"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_known_or_another_one_is_refused_with_the_remedy() {
    let Some(host) = Host::new() else { return };
    let words = ["Host key verification failed", "--known-hosts"];
    until_refused(&host.url, host.access("user", None), &words, &[]).await;
    until_refused(&host.url, host.access("user", Some("other")), &words, &[]).await;
}
