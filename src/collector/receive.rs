//! The UDP socket: opening it, and asking the kernel what it had to drop.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// The receive buffer that is asked for, in bytes: about 20 000 lines. The kernel grants at most
/// `net.core.rmem_max`, twice, as it counts its own bookkeeping.
const RECEIVE_BUFFER: usize = 16 << 20;

/// Opens the socket; says how many bytes its buffer has.
///
/// # Errors
/// When the address is taken or not ours.
pub fn bind(listen: SocketAddr) -> io::Result<(UdpSocket, usize)> {
    let socket = Socket::new(
        Domain::for_address(listen),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    let granted = socket.recv_buffer_size()?;
    Ok((UdpSocket::from_std(socket.into())?, granted))
}

/// How many datagrams the kernel has dropped since the socket was opened, because its buffer was full.
/// None where it does not tell (`/proc/net/udp`, Linux).
pub async fn drops(socket: &UdpSocket) -> Option<u64> {
    let link = format!("/proc/self/fd/{}", socket.as_raw_fd());
    let link = tokio::fs::read_link(link).await.ok()?;
    let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
    for table in ["/proc/self/net/udp", "/proc/self/net/udp6"] {
        let text = tokio::fs::read_to_string(table).await.ok()?;
        if let Some(drops) = drops_in(&text, inode) {
            return Some(drops);
        }
    }
    None
}

/// The last column of the line whose tenth is `inode` (kernel `net/ipv4/udp.c`, `udp4_format_sock`).
fn drops_in(table: &str, inode: &str) -> Option<u64> {
    table
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        .find(|columns| columns.get(9) == Some(&inode))
        .and_then(|columns| columns.last()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_found_by_inode() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1363: 0100007F:158A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 51883 2 0000000000000000 0
 2904: 00000000:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 51884 2 0000000000000000 42
";
        assert_eq!(drops_in(table, "51884"), Some(42));
        assert_eq!(drops_in(table, "51883"), Some(0));
        assert_eq!(drops_in(table, "1"), None);
    }

    #[tokio::test]
    async fn the_kernel_tells_of_our_own_socket() {
        let (socket, granted) = bind("127.0.0.1:0".parse().expect("an address")).expect("a socket");
        assert!(granted > 0);
        assert_eq!(drops(&socket).await, Some(0));
    }
}
