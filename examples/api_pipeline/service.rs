//! A service on this machine: orders to read, and reports to write. It is busy at the first of each report.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

const ORDERS: &str = r#"[
    { "customer": "ada", "cents": 1250 },
    { "customer": "grace", "cents": 4900 },
    { "customer": "ada", "cents": 750 }
]"#;
/// The longest body that it takes.
const BODY_MAX_BYTES: usize = 64 * 1024;

/// Starts the service and gives its address.
pub(crate) fn start() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        let mut reports = Reports::default();
        for stream in listener.incoming().flatten() {
            // A client that goes away is no reason to stop.
            let _ = serve(stream, &mut reports);
        }
    });
    Ok(address)
}

/// The reports in the order in which they came first: the first one has the id 1.
#[derive(Default)]
struct Reports(Vec<Report>);

struct Report {
    /// The idempotency key that it came under.
    key: String,
    text: String,
    /// How often it came.
    asked: u64,
}

impl Reports {
    /// The same key is the same report, however often it comes.
    fn note(&mut self, key: String, text: &[u8]) -> (usize, u64) {
        let known = self.0.iter().position(|report| report.key == key);
        let at = known.unwrap_or_else(|| {
            self.0.push(Report { key, text: String::from_utf8_lossy(text).into_owned(), asked: 0 });
            self.0.len() - 1
        });
        self.0[at].asked += 1;
        (at + 1, self.0[at].asked)
    }

    fn text(&self, id: &str) -> Option<&str> {
        let at = id.parse::<usize>().ok()?.checked_sub(1)?;
        self.0.get(at).map(|report| report.text.as_str())
    }
}

fn serve(mut stream: TcpStream, reports: &mut Reports) -> io::Result<()> {
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "idempotency-key" => value.clone_into(&mut key),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length.min(BODY_MAX_BYTES)];
    reader.read_exact(&mut body)?;
    let (status, header, body) = answer(line.split(' ').collect::<Vec<_>>().as_slice(), key, &body, reports);
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\n{header}content-length: {length}\r\n\r\n{body}")
}

fn answer(line: &[&str], key: String, body: &[u8], reports: &mut Reports) -> (&'static str, &'static str, String) {
    match line {
        ["GET", path, ..] if path.starts_with("/orders?day=") => ("200 OK", "", ORDERS.to_owned()),
        ["POST", "/reports", ..] => match reports.note(key, body) {
            (_, 1) => ("503 Service Unavailable", "retry-after: 1\r\n", String::new()),
            (id, asked) => ("201 Created", "", format!(r#"{{ "id": {id}, "asked": {asked} }}"#)),
        },
        ["GET", path, ..] => match path.strip_prefix("/reports/").and_then(|id| reports.text(id)) {
            Some(report) => ("200 OK", "", format!(r#"{{ "report": {report} }}"#)),
            None => ("404 Not Found", "", String::new()),
        },
        _ => ("404 Not Found", "", String::new()),
    }
}
