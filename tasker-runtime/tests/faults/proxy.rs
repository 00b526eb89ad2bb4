//! A network between a test's processes and the server that does what networks do. It knows enough of PostgreSQL's
//! protocol to see a COMMIT go by.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::dice::Dice;

/// How long the server's side of a cut connection is kept open: long enough that nothing but the client ends it.
const LINGERS: Duration = Duration::from_secs(60);

/// How long a connection is silent of which nothing will ever be heard again.
const SILENCE: Duration = Duration::from_secs(600);

/// What happens to everything that goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Pass,
    /// All is late by so much.
    Delay(Duration),
    /// Connections that there are, and new ones, are reset.
    Reset,
    /// Nothing goes by any more, and nobody is told.
    HalfOpen,
    /// The same for the connections that there are, and for ever; new ones are as they should be.
    Silent,
}

/// When a connection is lost, seen from its COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// The server never hears of it.
    Before,
    /// The server has it, and has not answered.
    During,
    /// The server has answered, and nobody heard it.
    After,
}

/// How many commits lost their connection.
#[derive(Debug, Default)]
struct Counts {
    before: AtomicUsize,
    during: AtomicUsize,
    after: AtomicUsize,
}

#[derive(Debug)]
struct Shared {
    server: String,
    way: watch::Sender<Way>,
    /// How many of a hundred commits are cut off.
    cut_percent: AtomicU64,
    /// Of how many of a hundred of those the server's side stays open.
    hush_percent: AtomicU64,
    dice: Mutex<Dice>,
    counts: Counts,
}

/// A proxy, which goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

impl Proxy {
    pub(crate) async fn start(server: String, dice: Dice) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server,
            way: watch::Sender::new(Way::Pass),
            cut_percent: AtomicU64::new(0),
            hush_percent: AtomicU64::new(50),
            dice: Mutex::new(dice),
            counts: Counts::default(),
        });
        let to_all = shared.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(to_all.clone(), client));
            }
        });
        Self { port, shared, accepting: accepting.abort_handle() }
    }

    pub(crate) fn set(&self, way: Way) {
        self.shared.way.send_replace(way);
    }

    /// From now on so many of a hundred commits lose their connection: before, during or after.
    pub(crate) fn cut(&self, percent: u64) {
        self.shared.cut_percent.store(percent, Ordering::Relaxed);
    }

    /// From now on the server hears of each connection that is lost.
    pub(crate) fn tell_all(&self) {
        self.shared.hush_percent.store(0, Ordering::Relaxed);
    }

    /// How many commits have lost their connection before, during and after.
    pub(crate) fn cuts(&self) -> [usize; 3] {
        let counts = &self.shared.counts;
        [&counts.before, &counts.during, &counts.after].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    /// Whether this commit loses its connection; and whether the server hears of that.
    fn draw(&self) -> Option<(Cut, bool)> {
        let percent = self.cut_percent.load(Ordering::Relaxed);
        let mut dice = self.dice.lock().unwrap();
        if !dice.percent(percent) {
            return None;
        }
        let (cut, count) = match dice.below(3) {
            0 => (Cut::Before, &self.counts.before),
            1 => (Cut::During, &self.counts.during),
            _ => (Cut::After, &self.counts.after),
        };
        count.fetch_add(1, Ordering::Relaxed);
        Some((cut, !dice.percent(self.hush_percent.load(Ordering::Relaxed))))
    }
}

/// One connection, until either side closes it or it is lost.
async fn serve(shared: Arc<Shared>, mut client: TcpStream) {
    let mut way = shared.way.subscribe();
    let Ok(mut server) = TcpStream::connect(&shared.server).await else { return reset(client) };
    // Or each small message would wait for the other side's word that it has the one before.
    for side in [&client, &server] {
        // One that is closed already is found out soon enough.
        let _ = side.set_nodelay(true);
    }
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    let mut frontend = Frontend::default();
    let mut is_new = true;
    loop {
        let now = *way.borrow_and_update();
        match now {
            Way::Silent if !is_new => return tokio::time::sleep(SILENCE).await,
            Way::Pass | Way::Silent => {}
            Way::Delay(by) => tokio::time::sleep(by).await,
            Way::Reset => return reset(client),
            Way::HalfOpen => {
                // When the network is there again, it knows nothing of this connection.
                let _ = way.changed().await;
                return reset(client);
            }
        }
        tokio::select! {
            _ = way.changed() => is_new = false,
            read = client.read(&mut up) => {
                let Ok(bytes @ 1..) = read else { return };
                let mut passed = Vec::new();
                let mut lost = None;
                for (message, commits) in frontend.feed(&up[..bytes]) {
                    lost = commits.then(|| shared.draw()).flatten();
                    if lost.is_none_or(|(cut, _)| cut != Cut::Before) {
                        passed.extend_from_slice(&message);
                    }
                    if lost.is_some() {
                        break;
                    }
                }
                if server.write_all(&passed).await.is_err() {
                    return reset(client);
                }
                if let Some((cut, told)) = lost {
                    if cut == Cut::After {
                        let _ = server.read(&mut down).await;
                    }
                    reset(client);
                    if !told {
                        // The server waits, or goes on, until somebody ends its process.
                        let drained = async { while matches!(server.read(&mut down).await, Ok(1..)) {} };
                        let _ = tokio::time::timeout(LINGERS, drained).await;
                    }
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(bytes @ 1..) = read else { return };
                if client.write_all(&down[..bytes]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Closes a connection as a lost one is closed: without a word of goodbye.
fn reset(client: TcpStream) {
    let _ = client.set_zero_linger();
    drop(client);
}

/// What a client says, message by message.
#[derive(Debug, Default)]
struct Frontend {
    buffer: Vec<u8>,
    has_started: bool,
    /// It is in a transaction, and whether that one writes.
    transaction: Option<bool>,
    /// Whether a prepared statement writes, by its name.
    statements: HashMap<Vec<u8>, bool>,
    /// The statement that is about to be executed writes.
    writes: bool,
}

impl Frontend {
    /// The messages that are complete now, each with whether something is committed when the server has it.
    fn feed(&mut self, bytes: &[u8]) -> Vec<(Vec<u8>, bool)> {
        self.buffer.extend_from_slice(bytes);
        let mut messages = Vec::new();
        loop {
            let kind_bytes = usize::from(self.has_started);
            let Some(length) = self.buffer.get(kind_bytes..kind_bytes + 4) else { return messages };
            let length = kind_bytes + usize::try_from(u32::from_be_bytes(length.try_into().unwrap())).unwrap();
            if self.buffer.len() < length {
                return messages;
            }
            let rest = self.buffer.split_off(length);
            let message = std::mem::replace(&mut self.buffer, rest);
            let commits = self.read(&message);
            messages.push((message, commits));
        }
    }

    fn read(&mut self, message: &[u8]) -> bool {
        if !self.has_started {
            // Whoever asks for encryption first begins once more.
            self.has_started = message[4..8] == 196_608_u32.to_be_bytes();
            return false;
        }
        let body = &message[5..];
        match message[0] {
            b'Q' => self.query(body),
            b'P' => {
                let mut parts = body.split(|byte| *byte == 0);
                let (name, text) = (parts.next().unwrap(), parts.next().unwrap());
                let text = String::from_utf8_lossy(text);
                let writes = ["UPDATE tasker.", "INSERT INTO tasker.", "DELETE FROM tasker."];
                self.statements.insert(name.to_owned(), writes.iter().any(|word| text.contains(word)));
                false
            }
            b'B' => {
                let name = body.split(|byte| *byte == 0).nth(1).unwrap();
                self.writes = self.statements.get(name).copied().unwrap_or(false);
                false
            }
            b'S' => std::mem::take(&mut self.writes) && self.transaction.is_none(),
            _ => false,
        }
    }

    /// A statement without parameters.
    fn query(&mut self, body: &[u8]) -> bool {
        match body {
            // Alone, or after what it commits.
            b"COMMIT\0" => self.transaction.take() == Some(true),
            last if last.ends_with(b"; COMMIT\0") => self.transaction.take() == Some(true),
            b"ROLLBACK\0" => {
                self.transaction = None;
                false
            }
            begin if begin.starts_with(b"BEGIN") => {
                self.transaction = Some(!String::from_utf8_lossy(begin).contains("READ ONLY"));
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Frontend;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind][..], &length, body].concat()
    }

    fn start() -> Vec<u8> {
        let body = [&196_608_u32.to_be_bytes()[..], b"user\0tasker\0\0"].concat();
        [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], &body].concat()
    }

    /// Which of the messages commits, whether they come byte by byte or all at once.
    fn commits(messages: &[Vec<u8>]) -> Vec<bool> {
        let (mut by_bytes, mut at_once) = (Frontend::default(), Frontend::default());
        let whole = [start(), messages.concat()].concat();
        let slowly: Vec<_> = whole.iter().flat_map(|byte| by_bytes.feed(&[*byte])).collect();
        assert_eq!(at_once.feed(&whole), slowly);
        slowly.into_iter().skip(1).map(|(_, commits)| commits).collect()
    }

    #[test]
    fn a_commit_is_seen_where_something_was_written() {
        let (write, read) =
            (b"BEGIN ISOLATION LEVEL READ COMMITTED\0", b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY\0");
        let commit = message(b'Q', b"COMMIT\0");
        assert_eq!(commits(&[message(b'Q', write), commit.clone(), commit.clone()]), [false, true, false]);
        assert_eq!(commits(&[message(b'Q', read), commit.clone()]), [false, false]);
        let both = message(b'Q', b"EXECUTE tasker_write_7('{1}'); COMMIT\0");
        assert_eq!(commits(&[message(b'Q', write), both, commit.clone()]), [false, true, false]);
        assert_eq!(commits(&[message(b'Q', write), message(b'Q', b"ROLLBACK\0"), commit]), [false; 3]);
        assert_eq!(commits(&[message(b'Q', write), message(b'd', b"COMMIT\0")]), [false, false]);
    }

    #[test]
    fn a_statement_that_writes_alone_commits_when_it_is_synced() {
        let parse = |name: &str, text: &str| message(b'P', format!("{name}\0{text}\0\0\0").as_bytes());
        let bind = |name: &str| message(b'B', format!("\0{name}\0\0\0").as_bytes());
        let (sync, begin) = (message(b'S', b""), message(b'Q', b"BEGIN ISOLATION LEVEL READ COMMITTED\0"));
        let claim = parse("s1", "WITH x AS (SELECT 1) UPDATE tasker.live_steps SET state = 2");
        let look = parse("s2", "SELECT 1");
        assert_eq!(commits(&[claim.clone(), sync.clone(), bind("s1"), sync.clone()]), [false, false, false, true]);
        assert_eq!(commits(&[look, bind("s2"), sync.clone()]), [false; 3]);
        assert_eq!(commits(&[begin, claim, bind("s1"), sync]), [false; 4]);
    }
}
