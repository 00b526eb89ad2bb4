//! A server whose disk is full: told clearly, nothing lost, and it goes on when there is space.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::checker::Evidence;
use crate::child::{Place, Worker, until};
use crate::client::Client;
use crate::server::{Server, done, is_root, not_possible, sql};

/// A small file system in memory, which goes when it is dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(at);
        if !is_root() || !mount.output().is_ok_and(|output| output.status.success()) {
            not_possible("only root may mount a small file system");
            return None;
        }
        let mounted = Self(at.to_owned());
        done(Command::new("chown").arg("postgres").arg(at));
        Some(mounted)
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Leaves nothing free.
    fn fill(&self) {
        let mut dd = Command::new("dd");
        dd.args(["if=/dev/zero", "bs=4096", "status=none"]).arg(format!("of={}", self.ballast().display()));
        // It ends when there is no space left, and says so.
        dd.output().unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: the server may have files open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_the_server_is_told_and_nothing_is_lost_when_there_is_space_again() {
    let Some(mut server) = Server::make() else { return };
    let Some(disk) = Tmpfs::mount(&server.folder().join("small"), 48) else { return };
    server.start().await;
    sql(&server.url(), &format!("CREATE TABLESPACE small LOCATION '{}'", disk.0.display())).await;
    sql(&server.url(), "CREATE DATABASE small TABLESPACE small").await;
    let directory = tempfile::tempdir().unwrap();
    let url = server.url().replace("/postgres", "/small");
    let place = Place::server(directory.path(), &url);
    let client = Client::start(&place, "dag", 40).await;
    let workers = vec![Worker::start(&place), Worker::start(&place)];
    until("some tasks are over", async || client.ended() > 20).await;
    disk.fill();
    let log = || std::fs::read_to_string(directory.path().join("log")).unwrap();
    // Whoever writes first: where the workers cannot go on, the client soon has as many open tasks as it may.
    let is_told = async || client.refused_with("D003") > 0 || log().contains("the database is full");
    until("clients or workers are told that the disk is full", is_told).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    disk.free();
    let before = client.ended();
    until("tasks end again", async || client.ended() > before + 20).await;
    Evidence::conclude(&place, client, workers).await;
    drop(server);
}
