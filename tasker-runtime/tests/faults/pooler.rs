//! A transaction pooler between the workers and the server: `?pooler=true`.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use tasker_runtime::store::StoreError;
use tasker_runtime::store::postgres::PostgresStore;
use tasker_runtime::store::sqlite::Durability;

use crate::checker::Evidence;
use crate::child::{Place, Worker, until};
use crate::client::Client;
use crate::dice::Dice;
use crate::kill::progress;
use crate::proxy::Proxy;
use crate::server::{Database, address, as_server, connect, done, folder_of_server, free_port, not_run, through};

const WORKERS: usize = 3;
/// What the pooler must be set to ignore, of what a client says when it connects.
const IGNORED: &str = "extra_float_digits";
/// Connections of the pooler to the server: fewer than one process has to the pooler.
const POOL: i64 = 3;
/// Tasks that must come to their end through the pooler.
const TASKS: usize = 40;

/// Commits that lose their connection to the pooler: of a hundred, and in all.
const PERCENT: u64 = 5;
const COMMITS: usize = 10;
const KILLS: usize = 3;

/// A running pooler, which goes when it is dropped.
struct Pooler {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pooler {
    async fn start(database: &Database, ignored: &str) -> Option<Self> {
        let folders = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect::<Vec<PathBuf>>();
        let places = folders.into_iter().chain(["/usr/sbin".into()]).map(|folder| folder.join("pgbouncer"));
        let Some(program) = places.into_iter().find(|place| place.is_file()) else {
            not_run("there is no pgbouncer; as root, `cargo xtask test` installs it");
            return None;
        };
        let (folder, port, url) = (folder_of_server(), free_port(), database.url());
        let (user, password) =
            url.trim_start_matches("postgres://").split_once('@').unwrap().0.split_once(':').unwrap();
        let server = address(&url);
        let (host, server_port) = server.split_once(':').unwrap();
        let users = folder.path().join("users");
        std::fs::write(&users, format!("\"{user}\" \"{password}\"\n")).unwrap();
        let settings = format!(
            "[databases]\n* = host={host} port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = {POOL}\nmax_client_conn = 200\nignore_startup_parameters = {ignored}\n",
            users.display()
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        done(std::process::Command::new("chmod").args(["a+r"]).args([&users, &file]));
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = as_server(program).arg(&file).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let pooler = Self { process, port, _folder: folder };
        let url = pooler.url(database);
        until("the pooler takes connections", async || tokio::net::TcpStream::connect(address(&url)).await.is_ok())
            .await;
        Some(pooler)
    }

    fn url(&self, database: &Database) -> String {
        through(&database.url(), self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_run_whole_workflows_through_a_transaction_pooler() {
    let Some(database) = Database::find().await else { return };
    let Some(pooler) = Pooler::start(&database, IGNORED).await else { return };
    let mut dice = Dice::cast();
    let directory = tempfile::tempdir().unwrap();
    let direct = Place::server(directory.path(), &database.url());
    let proxy = Proxy::start(address(&pooler.url(&database)), dice.fork()).await;
    let url = format!("{}?pooler=true", through(&database.url(), proxy.port));
    let place = Place::server(directory.path(), &url);
    let client = Client::start(&place, "dag", 24).await;
    let mut workers: Vec<Worker> = (0..WORKERS).map(|_| Worker::start(&place)).collect();
    until("tasks end", async || client.ended() >= TASKS).await;
    let mut beside = connect(&database.url()).await.unwrap();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let connections: i64 = sqlx::query_scalar(sql).fetch_one(&mut beside).await.unwrap();
    assert!((1..=POOL).contains(&connections), "{connections} connections to the server");
    // Who dies or is cut off in the middle of a transaction leaves nothing behind in a session that others go on with.
    // A pooler's connection whose client fell silent is free again after half a minute only.
    proxy.tell_all();
    proxy.cut(PERCENT);
    let lost = || proxy.cuts().iter().sum::<usize>();
    until("some commits have lost their connections", async || lost() >= COMMITS).await;
    for _ in 0..KILLS {
        progress(&place, dice.ms(0, 200)).await;
        let which = dice.index(WORKERS);
        workers[which].kill();
        workers[which] = Worker::start(&place);
    }
    proxy.cut(0);
    Evidence::conclude(&direct, client, workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_pooler_that_the_url_does_not_name_is_told_with_what_to_do() {
    let Some(database) = Database::find().await else { return };
    let open = async |url: String| match PostgresStore::open(&url, Durability::Full).await {
        Err(StoreError::Open(told)) => told,
        other => panic!("{other:?}"),
    };
    let (in_url, in_pooler) = ("add `?pooler=true` to the database URL", "set `ignore_startup_parameters");
    let Some(pooler) = Pooler::start(&database, IGNORED).await else { return };
    let told = open(pooler.url(&database)).await;
    assert!(told.contains(in_url), "{told}");
    let Some(strict) = Pooler::start(&database, "").await else { return };
    let told = open(strict.url(&database)).await;
    assert!(told.contains(in_url) && told.contains(in_pooler), "{told}");
    let told = open(format!("{}?pooler=true", strict.url(&database))).await;
    assert!(told.contains(in_pooler) && !told.contains(in_url), "{told}");
}
