//! Which program listens on a port: for the message when it is taken.

use std::fs;
use std::net::SocketAddr;

/// Processes looked through at most.
const PROCESSES_MAX: usize = 20_000;
/// Descriptors of one process looked through at most.
const DESCRIPTORS_MAX: usize = 10_000;
/// TCP_LISTEN in /proc/net/tcp.
const LISTENING: &str = "0A";

/// "name (pid 7)" of the program that listens on the address' port, where the system tells us;
/// other users' programs it keeps to itself.
pub(super) fn of(address: SocketAddr) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inode = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| inode(&table, address.port()))?;
    let socket = format!("socket:[{inode}]");
    let pid = fs::read_dir("/proc")
        .ok()?
        .take(PROCESSES_MAX)
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| holds(*pid, &socket))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
    Some(format!("{name} (pid {pid})"))
}

/// The inode of the socket that listens on a port, from the text of /proc/net/tcp.
fn inode(table: &str, port: u16) -> Option<String> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (_, local_port) = fields.nth(1)?.rsplit_once(':')?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        let found = u16::from_str_radix(local_port, 16) == Ok(port) && state == LISTENING;
        found.then(|| inode.to_owned())
    })
}

fn holds(pid: u32, socket: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .take(DESCRIPTORS_MAX)
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|target| target.to_str() == Some(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_socket_is_found_by_its_port_and_state() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1D13 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 111 1
   1: 0100007F:1D13 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 222 1
   2: cut";
        assert_eq!(inode(table, 7443).as_deref(), Some("222"));
        assert_eq!(inode(table, 7444), None);
        assert_eq!(inode("", 7443), None);
    }

    #[test]
    fn our_own_socket_is_ours() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let owner = of(socket.local_addr().unwrap()).unwrap();
        let pid = std::process::id();
        assert!(owner.ends_with(&format!("(pid {pid})")), "{owner}");
    }
}
