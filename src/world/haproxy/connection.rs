//! One question to a runtime API: connect, write one line, read the answer to its end.
//!
//! Without `prompt`, HAProxy answers one line of commands and closes (management guide, section
//! 9.3): the end of the stream is the end of the answer.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::Address;

/// The longest answer that is read: that of some fifty thousand servers.
const MAX_REPLY: u64 = 32 * 1024 * 1024;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// No connection.
    #[error("cannot connect to {address}: {source}; {}", remedy(address, source))]
    Connect {
        /// The socket.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke.
    #[error("lost the connection to {address}: {source}; HAProxy may have been reloaded just then")]
    Broken {
        /// The socket.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing came within the time limit.
    #[error(
        "{address} gave no answer within {limit:?}; check that HAProxy is not stopped or overloaded, that no \
         firewall is in between, and that others do not use up its `stats maxconn`"
    )]
    Timeout {
        /// The socket.
        address: Address,
        /// The time limit.
        limit: Duration,
    },
    /// It closed without a word.
    #[error(
        "{address} closed the connection without an answer; check that it is a `stats socket` of HAProxy"
    )]
    Empty {
        /// The socket.
        address: Address,
    },
    /// The answer was too long.
    #[error("{address} answered with more than {} MiB; check that it is a `stats socket` of HAProxy", MAX_REPLY >> 20)]
    Endless {
        /// The socket.
        address: Address,
    },
}

fn remedy(address: &Address, error: &io::Error) -> &'static str {
    let unix = matches!(address, Address::Unix(_));
    match error.kind() {
        io::ErrorKind::NotFound if unix => {
            "start HAProxy, or mount the directory of its `stats socket` where this controller sees it"
        }
        io::ErrorKind::PermissionDenied => {
            "let this controller's user or group write to the socket (`stats socket … group … mode 660`)"
        }
        io::ErrorKind::ConnectionRefused => {
            "nobody listens there: start HAProxy, and check the `stats socket` line in haproxy.cfg"
        }
        _ if unix => "check the `stats socket` line in haproxy.cfg",
        _ => "check the host's name, the network and the `stats socket` line in haproxy.cfg",
    }
}

/// Writes `line` to the runtime API at `address` and reads all that comes, within `limit`.
///
/// Bytes that are not UTF-8 come back as U+FFFD: names in HAProxy are ASCII, free text need not be.
pub(super) async fn exchange(
    address: &Address,
    line: &str,
    limit: Duration,
) -> Result<String, ConnectionError> {
    timeout(limit, talk(address, line))
        .await
        .unwrap_or_else(|_| {
            Err(ConnectionError::Timeout {
                address: address.clone(),
                limit,
            })
        })
}

async fn talk(address: &Address, line: &str) -> Result<String, ConnectionError> {
    let connect = |source| ConnectionError::Connect {
        address: address.clone(),
        source,
    };
    let reply = match address {
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(connect)?;
            converse(stream, line).await
        }
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port))
                .await
                .map_err(connect)?;
            converse(stream, line).await
        }
    };
    let reply = reply.map_err(|source| ConnectionError::Broken {
        address: address.clone(),
        source,
    })?;
    let length = u64::try_from(reply.len()).unwrap_or(u64::MAX);
    match length {
        0 => Err(ConnectionError::Empty {
            address: address.clone(),
        }),
        1..=MAX_REPLY => Ok(String::from_utf8_lossy(&reply).into_owned()),
        _ => Err(ConnectionError::Endless {
            address: address.clone(),
        }),
    }
}

async fn converse<S>(mut stream: S, line: &str) -> io::Result<Vec<u8>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(line.as_bytes()).await?;
    let mut reply = Vec::new();
    stream.take(MAX_REPLY + 1).read_to_end(&mut reply).await?;
    Ok(reply)
}
