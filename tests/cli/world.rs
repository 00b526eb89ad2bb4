//! A folder of its own for each test, and the programs that run in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

use crate::server::Server;

/// The longest time that anything may take.
const DEADLINE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// An order that is paid at once.
pub(crate) const ORDER: &str =
    r#"{ "customer": { "id": 123 }, "items": [{ "product_id": 1, "quantity": 2, "price": 29.99 }] }"#;
/// An order whose payment fails for good.
pub(crate) const STOLEN: &str = r#"{ "customer": { "id": 1 }, "items": [{ "product_id": 1, "quantity": 1, "price": 1 }], "payment": { "card": "stolen" } }"#;
/// An order of which a step takes a minute.
pub(crate) const SLOW: &str =
    r#"{ "customer": { "id": 1 }, "items": [{ "product_id": 1, "quantity": 1, "price": 1 }], "pace_ms": 60000 }"#;

/// A folder.
pub(crate) struct World {
    folder: TempDir,
    server: Option<Server>,
}

/// What became of a program.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder can be made"), server: None }
    }

    /// A folder whose programs use a database of its own on the server, where there is one.
    pub(crate) fn on_server() -> Option<Self> {
        Some(Self { server: Some(Server::find()?), ..Self::new() })
    }

    /// The database on the server.
    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().expect("it was made on a server")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
    }

    /// The example with the order workflow, about to be run here.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.prepared(example(), arguments)
    }

    /// The program that things go wrong in, about to be run here.
    pub(crate) fn clumsy_command(&self, arguments: &[&str]) -> Command {
        self.prepared(clumsy(), arguments)
    }

    /// The example with the order workflow, about to be run here as if in a terminal that shows colours.
    pub(crate) fn prepared_in_colour(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env("CLICOLOR_FORCE", "1");
        command
    }

    /// The program with a subscriber, about to be run here.
    pub(crate) fn listener_command(&self, arguments: &[&str]) -> Command {
        self.prepared(listener(), arguments)
    }

    /// Runs the program with a subscriber to its end.
    pub(crate) fn listener(&self, arguments: &[&str]) -> Ran {
        finish(self.listener_command(arguments))
    }

    /// The example with batches, about to be run here.
    pub(crate) fn batches_command(&self, arguments: &[&str]) -> Command {
        self.prepared(batches(), arguments)
    }

    /// The example with a typed decision, run to its end.
    pub(crate) fn approval(&self, arguments: &[&str]) -> Ran {
        finish(self.prepared(approval(), arguments))
    }

    /// The stock binary, about to be run here.
    pub(crate) fn stock_command(&self, arguments: &[&str]) -> Command {
        self.prepared(Path::new(env!("CARGO_BIN_EXE_tasker")), arguments)
    }

    fn prepared(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for (variable, _) in std::env::vars() {
            let ours = variable.starts_with("TASKER_") || variable.starts_with("CARGO");
            if ours || ["DATABASE_URL", "NO_COLOR", "CLICOLOR_FORCE"].contains(&variable.as_str()) {
                command.env_remove(variable);
            }
        }
        if let Some(server) = &self.server {
            command.env("DATABASE_URL", server.url());
        }
        command
    }

    /// Runs the example to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments))
    }

    /// Runs the program that things go wrong in to its end.
    pub(crate) fn clumsy(&self, arguments: &[&str]) -> Ran {
        finish(self.clumsy_command(arguments))
    }

    /// Runs the stock binary to its end.
    pub(crate) fn stock(&self, arguments: &[&str]) -> Ran {
        finish(self.stock_command(arguments))
    }

    /// Runs an order to its end and gives the task's id.
    pub(crate) fn order(&self, input: &str) -> String {
        let ran = self.run(&["run", "order_fulfillment", "-i", input, "--wait", "-o", "id"]);
        assert!([0, 8].contains(&ran.code), "{ran:?}");
        ran.out.trim().to_owned()
    }

    /// What `task show` tells of a task.
    pub(crate) fn show(&self, task: &str) -> Value {
        self.run(&["task", "show", task, "-o", "json"]).json()
    }

    /// Waits until a step of the task is in this state.
    pub(crate) fn wait_for_step(&self, task: &str, step: &str, state: &str) {
        eventually(&format!("{step} is {state}"), || {
            let shown = self.show(task);
            let steps = shown["steps"].as_array().expect("there are steps");
            steps.iter().any(|found| found["name"] == step && found["current_state"] == state)
        });
    }

    /// Waits until the task is in this state.
    pub(crate) fn wait_for_task(&self, task: &str, state: &str) {
        eventually(&format!("the task is {state}"), || self.show(task)["status"] == state);
    }

    /// Starts a worker and waits until it is ready.
    pub(crate) fn dev(&self) -> Running {
        self.dev_of(self.command(&["dev"]))
    }

    /// Starts the worker of this program and waits until it is ready.
    pub(crate) fn dev_of(&self, command: Command) -> Running {
        let running = self.start(command);
        eventually("the worker is ready", || running.log().contains("ready"));
        running
    }

    /// Starts a program that runs beside the test.
    pub(crate) fn start(&self, mut command: Command) -> Running {
        let log = self.path(&format!("dev-{}.log", uuid::Uuid::now_v7()));
        let file = std::fs::File::create(&log).expect("a log can be made");
        command.stdout(Stdio::null()).stderr(file);
        Running { child: command.spawn().expect("the program starts"), log }
    }
}

/// A program that runs beside the test. It is killed with the test.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log can be read")
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).expect("it is an id");
        let id = rustix::process::Pid::from_raw(id).expect("it is an id");
        rustix::process::kill_process(id, signal).expect("the process is there");
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the process is there");
        self.child.wait().expect("it ends");
    }

    /// Waits for its end, and gives its exit code.
    pub(crate) fn wait(mut self) -> i32 {
        end_of(&mut self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of a process and gives its exit code.
pub(crate) fn end_of(child: &mut Child) -> i32 {
    let mut code = None;
    eventually("the process has ended", || {
        code = child.try_wait().expect("it can be asked").map(|status| status.code().unwrap_or(-1));
        code.is_some()
    });
    code.expect("it has ended")
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("it is text"),
            err: String::from_utf8(output.stderr).expect("it is text"),
        }
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Standard error as JSON.
    pub(crate) fn problem(&self) -> Value {
        serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts how it ended.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Asserts that it was refused with this code and these words.
    #[track_caller]
    pub(crate) fn refused(self, exit: i32, code: &str, words: &str) -> Self {
        assert!(self.err.contains(&format!("error[{code}]")), "{}", self.err);
        assert!(self.err.contains(words), "{}", self.err);
        self.ended(exit)
    }

    /// Asserts that nothing in it moves a cursor.
    #[track_caller]
    pub(crate) fn plain(self) -> Self {
        let moves = |c: char| c.is_control() && c != '\n';
        assert!(!self.out.contains(moves), "{:?}", self.out);
        assert!(!self.err.contains(moves), "{:?}", self.err);
        self
    }
}

pub(crate) fn finish(mut command: Command) -> Ran {
    let mut output = None;
    eventually("the program starts", || match command.output() {
        Ok(ended) => {
            output = Some(ended);
            true
        }
        // Another test has it linked anew at this moment.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => panic!("the program does not start: {error}"),
    });
    Ran::of(output.expect("it has ended"))
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The program of the example with the order workflow.
fn example() -> &'static Path {
    static EXAMPLE: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        let files = ["main.rs", "handlers.rs", "templates/order_fulfillment.yaml"];
        program("order_fulfillment", &files.map(|file| Path::new("examples/order_fulfillment").join(file)))
    })
}

/// The program of the example with batches.
fn batches() -> &'static Path {
    static BATCHES: OnceLock<PathBuf> = OnceLock::new();
    BATCHES.get_or_init(|| {
        let files = ["main.rs", "guide.rs", "handlers.rs", "products.rs", "templates/csv_batch.yaml"];
        program("csv_batch", &files.map(|file| Path::new("examples/csv_batch").join(file)))
    })
}

/// The program of the example with a typed decision.
fn approval() -> &'static Path {
    static APPROVAL: OnceLock<PathBuf> = OnceLock::new();
    APPROVAL.get_or_init(|| {
        let files = ["main.rs", "handlers.rs", "templates/approval.yaml"];
        program("approval", &files.map(|file| Path::new("examples/approval").join(file)))
    })
}

/// The program that things go wrong in.
fn clumsy() -> &'static Path {
    static CLUMSY: OnceLock<PathBuf> = OnceLock::new();
    CLUMSY.get_or_init(|| program("clumsy", &["tests/cli/programs/clumsy.rs".into()]))
}

/// The program with a subscriber.
fn listener() -> &'static Path {
    static LISTENER: OnceLock<PathBuf> = OnceLock::new();
    LISTENER.get_or_init(|| program("listener", &["tests/cli/programs/listener.rs".into()]))
}

/// The program of an example. Cargo builds it with all targets, and not with the tests alone.
fn program(name: &str, sources: &[PathBuf]) -> PathBuf {
    let stock = Path::new(env!("CARGO_BIN_EXE_tasker"));
    let folder = stock.parent().expect("it is in a folder");
    let example = folder.join("examples").join(name);
    let newer = |than: &Path| age(than).zip(age(&example)).is_some_and(|(than, example)| than <= example);
    // Where each test is a process of its own, asking Cargo each time would take longer than the tests.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !newer(stock) || !sources.iter().all(|file| newer(&root.join(file))) {
        build(name, folder);
    }
    example
}

fn age(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|found| found.modified()).ok()
}

fn build(name: &str, folder: &Path) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--offline", "--example", name, "--profile", profile]);
    // What the tests were built with is there already.
    for (feature, is_on) in [("testing", cfg!(feature = "testing")), ("schemas", cfg!(feature = "schemas"))] {
        if is_on {
            build.args(["--features", feature]);
        }
    }
    build.arg("--target-dir").arg(folder.parent().expect("it is in a folder")).current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(build.status().expect("cargo starts").success(), "the example does not build");
}
