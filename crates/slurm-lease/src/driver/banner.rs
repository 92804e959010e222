//! Whether an sshd answers: an endpoint is handed out only once its banner was read.

use std::io::Read;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::driver::clock::Deadline;
use crate::endpoint::Endpoint;

/// Connects and reads the beginning of the banner, `SSH-2.0-…` (RFC 4253, section 4.2, which lets
/// other lines come before it).
pub(crate) fn answers(endpoint: &Endpoint, limit: Duration) -> bool {
    let deadline = Deadline::after(limit);
    let address = (endpoint.host.as_str(), endpoint.port);
    let Ok(addresses) = address.to_socket_addrs() else {
        return false;
    };
    let mut addresses = addresses;
    addresses.any(|address| greets(address, deadline))
}

fn greets(address: SocketAddr, deadline: Deadline) -> bool {
    let left = deadline.left();
    if left.is_zero() {
        return false;
    }
    let Ok(mut stream) = TcpStream::connect_timeout(&address, left) else {
        return false;
    };
    let mut heard = Vec::new();
    let mut buffer = [0; 256];
    while heard.len() < 4096 && !deadline.has_passed() {
        if stream
            .set_read_timeout(Some(deadline.left().max(Duration::from_millis(1))))
            .is_err()
        {
            return false;
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return false,
            Ok(read) => heard.extend_from_slice(&buffer[..read]),
        }
        if heard
            .split(|&byte| byte == b'\n')
            .any(|line| line.starts_with(b"SSH-"))
        {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    fn served(greeting: &'static [u8]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let json = format!(
            r#"{{"host":"127.0.0.1","port":{},"user":"alice"}}"#,
            listener.local_addr().unwrap().port()
        );
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(greeting).unwrap();
        });
        let endpoint = Endpoint::parse(json.as_bytes()).unwrap();
        let answered = answers(&endpoint, Duration::from_secs(10));
        server.join().unwrap();
        answered
    }

    #[test]
    fn only_an_ssh_server_greets() {
        assert!(served(b"SSH-2.0-OpenSSH_9.2p1\r\n"));
        assert!(served(b"Welcome\r\nSSH-2.0-x\r\n"));
        assert!(!served(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        assert!(!served(b""));
    }

    #[test]
    fn nobody_listening_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let json = format!(r#"{{"host":"127.0.0.1","port":{port},"user":"alice"}}"#);
        let endpoint = Endpoint::parse(json.as_bytes()).unwrap();
        assert!(!answers(&endpoint, Duration::from_secs(10)));
    }
}
