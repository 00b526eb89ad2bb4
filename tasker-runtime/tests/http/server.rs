//! A service that does what a test says, one connection after the other, and tells what it was asked.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// The longest time that a test waits for the service, or the service for a client.
const DEADLINE: Duration = Duration::from_secs(20);

/// What the service does with a connection.
pub(crate) enum Does {
    /// Reads the request, sends these bytes and closes.
    Sends(String),
    /// Reads the request, sends these bytes, and then nothing until the client goes.
    Holds(String),
    /// Reads the request and sends the first text, then the second one until the client goes.
    Repeats(&'static str, &'static str),
    /// Closes without having read: the client's request meets a reset.
    Resets,
}

/// What the service was asked.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The method and the path, as they stand in the first line.
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) struct Service {
    address: SocketAddr,
    asked: Receiver<Asked>,
}

impl Service {
    /// Does each of these with one connection, then listens no longer.
    pub(crate) fn start(does: impl IntoIterator<Item = Does> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it has an address");
        let (asked, receiver) = channel();
        let does: Vec<Does> = does.into_iter().collect();
        thread::spawn(move || {
            for does in does {
                // A client that never comes leaves this thread behind: the test has failed by then.
                let Ok((stream, _)) = listener.accept() else { return };
                serve(stream, &does, &asked);
            }
        });
        Self { address, asked: receiver }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked next.
    #[track_caller]
    pub(crate) fn asked(&self) -> Asked {
        self.asked.recv_timeout(DEADLINE).expect("it was asked")
    }
}

fn serve(mut stream: TcpStream, does: &Does, asked: &Sender<Asked>) {
    stream.set_read_timeout(Some(DEADLINE)).expect("it can be set");
    stream.set_write_timeout(Some(DEADLINE)).expect("it can be set");
    if matches!(does, Does::Resets) {
        // Bytes that arrived and that nobody has read make a reset of the close.
        let arrived = stream.peek(&mut [0]);
        assert!(arrived.is_ok_and(|bytes| bytes == 1));
        return;
    }
    let _ = asked.send(read(&stream));
    match does {
        Does::Sends(answer) => stream.write_all(answer.as_bytes()).expect("the client is there"),
        Does::Holds(answer) => {
            stream.write_all(answer.as_bytes()).expect("the client is there");
            let end = stream.read(&mut [0]);
            assert!(!end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "the client never went");
        }
        Does::Repeats(first, again) => {
            stream.write_all(first.as_bytes()).expect("the client is there");
            while stream.write_all(again.as_bytes()).is_ok() {}
        }
        Does::Resets => {}
    }
}

fn read(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut next = || {
        let mut line = String::new();
        reader.read_line(&mut line).expect("the client sends a request");
        line.trim_end().to_owned()
    };
    let line = next().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = Vec::new();
    loop {
        let header = next();
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, text)| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the client sends its body");
    Asked { line, headers, body: String::from_utf8(body).expect("it is text") }
}

/// An answer with this status, these further headers and this body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Does {
    let length = body.len();
    Does::Sends(format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"))
}
