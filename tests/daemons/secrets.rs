//! What the collector's log must not hold: anything of a client's.

use std::net::UdpSocket;

use super::daemon::{Daemon, Signal};

/// Lines of other formats than `option httplog`: of users' own, of the TCP log and of the one for errors.
const FOREIGN: [&str; 4] = [
    "203.0.113.7:4711 [21/Nov/2026:09:12:46.327] fe be/s GET /reset?token=s3cr3t 200 session=c00k1e",
    "203.0.113.7:4711 [21/Nov/2026:09:12:46.327] fe session=c00k1e /reset?token=s3cr3t",
    "203.0.113.7:4711 [s3cr3t] fe be/s 0/0/0/0/0 200 1 - - ---- 0/0/0/0/0 0/0",
    "203.0.113.7:4711 [21/Nov/2026:09:12:46.327] fe be/s 1/2/3 s3cr3t -- 2/1/0/0/0 0/0 c00k1e",
];

#[tokio::test]
async fn lines_that_cannot_be_read_are_told_by_their_shape_alone() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    drop(socket);
    let listen = format!("udp://{address}");
    let write = ["--influxdb", "http://127.0.0.1:1", "--database", "r"];
    let arguments = [&["-vv", "collector", "--listen", &listen][..], &write].concat();
    let mut collector = Daemon::start(&arguments, |_| {});
    collector.says("listening on udp://").await;
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for line in FOREIGN {
        let datagram = format!("<134>Nov 21 09:12:46 haproxy[42]: {line}");
        sender.send_to(datagram.as_bytes(), address).expect("sent");
    }
    collector.says("cannot be read").await;
    collector.signal(Signal::Terminate).await;
    assert_eq!(collector.exit_code().await, Some(0));
    let log = collector.log();
    for secret in ["203.0.113.7", "s3cr3t", "c00k1e", "/reset"] {
        assert!(!log.contains(secret), "{secret} is told: {log}");
    }
    let shape = format!("\"bytes\":{}", FOREIGN[0].len());
    assert!(log.contains(&shape), "{shape} is not told: {log}");
    assert!(log.contains("\"lines\":4"), "{log}");
}
