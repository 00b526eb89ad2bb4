//! What the figures were measured on.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use sqlx::Row as _;

use crate::database::{self, Kind};

/// What the figures were measured on.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) load_average: String,
    /// The median time of a 4 KiB write with fdatasync, in microseconds, one directly after the other.
    pub(crate) fdatasync_us: f64,
    pub(crate) sqlite: String,
    /// What the server says of itself, where there is one.
    pub(crate) postgres: Option<String>,
    /// The most commands of one commit.
    pub(crate) batch_max: usize,
    /// Tasks that are kept going at once, where a row says no other number.
    pub(crate) in_flight: usize,
}

/// Asks the machine and the server.
pub(crate) async fn probe(kinds: &[Kind]) -> anyhow::Result<Machine> {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    Ok(Machine {
        cores: std::thread::available_parallelism()?.get(),
        load_average: load.split(' ').take(3).collect::<Vec<_>>().join(" "),
        fdatasync_us: fdatasync_us(Duration::ZERO)?,
        sqlite: "WAL, synchronous=FULL".to_owned(),
        postgres: if kinds.contains(&Kind::Postgres) { Some(settings().await?) } else { None },
        batch_max: 256,
        in_flight: crate::load::IN_FLIGHT,
    })
}

/// Writes and syncs one page a few hundred times, each after such a pause.
pub(crate) fn fdatasync_us(pause: Duration) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir_in(place())?;
    let file = OpenOptions::new().create_new(true).write(true).open(directory.path().join("probe"))?;
    let page = [7u8; 4096];
    let mut times = Vec::new();
    for round in 0..300u64 {
        std::thread::sleep(pause);
        let began = Instant::now();
        file.write_all_at(&page, (round % 64) * 4096)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    Ok(median(&mut times).as_secs_f64() * 1e6)
}

/// The server's version, and those of its settings on which figures depend.
async fn settings() -> anyhow::Result<String> {
    const SETTINGS: &[&str] = &[
        "fsync",
        "synchronous_commit",
        "full_page_writes",
        "shared_buffers",
        "max_wal_size",
        "wal_compression",
        "track_wal_io_timing",
        "shared_preload_libraries",
    ];
    let server = database::server().ok_or_else(|| anyhow::anyhow!("no server is named"))?;
    let connection = &mut database::connect(&format!("{server}/postgres")).await?;
    let version: String = database::one(connection, "SHOW server_version").await?.try_get(0)?;
    let mut told = vec![version.split(' ').next().unwrap_or_default().to_owned()];
    for setting in SETTINGS {
        let value: String = database::one(connection, &format!("SHOW {setting}")).await?.try_get(0)?;
        told.push(format!("{setting}={value}"));
    }
    anyhow::ensure!(told.iter().any(|said| said == "fsync=on"), "figures are taken with durability on: {told:?}");
    Ok(told.join(", "))
}

/// Where databases are made: under the build's directory, on a real disk, not in a file system in memory.
pub(crate) fn place() -> std::path::PathBuf {
    let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join("bench");
    // A failure shows when the first file is made in it.
    let _ = std::fs::create_dir_all(&place);
    place
}

pub(crate) fn median(times: &mut [Duration]) -> Duration {
    percentile(times, 50)
}

/// The time that so many of a hundred are not above.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * percent / 100).copied().unwrap_or_default()
}

/// Resident memory of this process, in bytes.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) * 1024
}

/// Time that all processors together had nothing to do since the machine started.
pub(crate) fn idle_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = stat.lines().next().unwrap_or_default().split_whitespace();
    let ticks: u64 = all.skip(4).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Processor time that this process has used.
pub(crate) fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = after.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
