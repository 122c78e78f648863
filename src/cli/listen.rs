//! What `--listen` takes, and what to say when an address cannot be had.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::exit::Failure;

/// How something comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP's.
    Tcp,
    /// Syslog's.
    Udp,
}

/// An address for [`Transport::Udp`], as `udp://ADDRESS:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpAddress(pub SocketAddr);

impl FromStr for UdpAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.strip_prefix("udp://").map(str::parse);
        match address {
            Some(Ok(address)) => Ok(Self(address)),
            Some(Err(_)) | None => Err(wanted("udp://", "5514")),
        }
    }
}

/// Reads an address for [`Transport::Tcp`].
///
/// # Errors
/// When it is none, with one that is.
pub fn tcp_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| wanted("", "9180"))
}

fn wanted(scheme: &str, port: &str) -> String {
    format!(
        "write {scheme}ADDRESS:PORT with an IP address, as in {scheme}127.0.0.1:{port}, \
         {scheme}[::1]:{port} or, for all of this machine's, {scheme}0.0.0.0:{port}"
    )
}

/// Sees whether an address can be had, before something else is waited for.
///
/// # Errors
/// When it cannot.
pub fn try_tcp(address: SocketAddr) -> Result<(), Failure> {
    match std::net::TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(Transport::Tcp, address, &error)),
    }
}

/// The system refuses an address.
pub fn refused(transport: Transport, address: SocketAddr, error: &io::Error) -> Failure {
    Failure::No(refusal(transport, address, error))
}

fn refusal(transport: Transport, address: SocketAddr, error: &io::Error) -> String {
    let (scheme, who) = match transport {
        Transport::Tcp => ("", "ss -ltnp"),
        Transport::Udp => ("udp://", "ss -lunp"),
    };
    let all: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "another process has it (`{who}` shows which): end that, or choose another port with --listen"
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "this machine has no such address: name one of its own with --listen, or all of them as {scheme}{}",
                SocketAddr::new(all, address.port())
            )
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are for root: choose a higher one with --listen".to_owned()
        }
        _ => "choose another address with --listen".to_owned(),
    };
    format!("cannot listen on {scheme}{address}: {error}; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_own_remedy() {
        let said = |transport, kind: io::ErrorKind| {
            let address = SocketAddr::from(([192, 0, 2, 1], 80));
            refusal(transport, address, &kind.into())
        };
        for (transport, kind, remedy) in [
            (Transport::Tcp, io::ErrorKind::AddrInUse, "ss -ltnp"),
            (Transport::Udp, io::ErrorKind::AddrInUse, "ss -lunp"),
            (
                Transport::Tcp,
                io::ErrorKind::AddrNotAvailable,
                " 0.0.0.0:80",
            ),
            (
                Transport::Udp,
                io::ErrorKind::AddrNotAvailable,
                " udp://0.0.0.0:80",
            ),
            (Transport::Tcp, io::ErrorKind::PermissionDenied, "1024"),
            (
                Transport::Tcp,
                io::ErrorKind::OutOfMemory,
                "another address",
            ),
        ] {
            let text = said(transport, kind);
            assert!(text.contains(remedy) && text.contains("--listen"), "{text}");
            assert!(text.contains("192.0.2.1:80"), "{text}");
        }
    }

    #[test]
    fn an_address_is_an_ip_address_with_a_port() {
        for sound in ["udp://127.0.0.1:5514", "udp://[::1]:0"] {
            assert!(sound.parse::<UdpAddress>().is_ok(), "{sound}");
        }
        for wrong in [
            "127.0.0.1:5514",
            "udp://localhost:5514",
            "udp://:5514",
            "udp://::1",
        ] {
            let said = wrong.parse::<UdpAddress>().expect_err(wrong);
            assert!(said.contains("udp://127.0.0.1:5514"), "{said}");
        }
        assert!(tcp_address("0.0.0.0:9180").is_ok());
        assert!(
            tcp_address(":9180")
                .expect_err("no address")
                .contains("127.0.0.1:9180")
        );
    }
}
