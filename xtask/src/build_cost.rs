//! What `#[step_handler]` costs to build: a crate with 200 handlers against the same functions without the attribute.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::run::{root, say};

const HANDLERS: u32 = 200;
const ROUNDS: usize = 3;

/// Measures and prints; the figures are medians of interleaved rounds with one job and nothing incremental.
pub(crate) fn measure() -> Result<()> {
    let place = root().join("target").join("build-cost");
    std::fs::create_dir_all(place.join("src"))?;
    let manifest = format!(
        "[package]\nname = \"build-cost\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\ntasker = {{ path = {:?}, default-features = false }}\n",
        root()
    );
    std::fs::write(place.join("Cargo.toml"), manifest)?;
    std::fs::copy(root().join("Cargo.lock"), place.join("Cargo.lock"))?;
    for verb in ["check", "build"] {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            for (attribute, times) in [(true, &mut with), (false, &mut without)] {
                let took = build(&place, verb, attribute)?;
                // The first round builds the dependencies.
                if round > 0 {
                    times.push(took);
                }
            }
        }
        let (with, without) = (median(with), median(without));
        let each = with.saturating_sub(without).as_secs_f64() * 1e3 / f64::from(HANDLERS);
        say(&format!("cargo {verb}: {with:.2?} with the attribute, {without:.2?} without: {each:.1} ms a handler"))?;
    }
    Ok(())
}

fn build(place: &Path, verb: &str, attribute: bool) -> Result<Duration> {
    std::fs::write(place.join("src/lib.rs"), source(attribute))?;
    let mut command = Command::new(env!("CARGO"));
    command.args([verb, "--quiet", "--offline", "--jobs", "1"]).current_dir(place).stderr(Stdio::inherit());
    command.env("CARGO_INCREMENTAL", "0").env_remove("CARGO_TARGET_DIR").env("RUSTFLAGS", "-Adead_code");
    let began = Instant::now();
    ensure!(command.status()?.success(), "`cargo {verb}` failed");
    Ok(began.elapsed())
}

fn source(attribute: bool) -> String {
    let mut text = String::from("//! Generated.\nuse serde::{Deserialize, Serialize};\n");
    for number in 0..HANDLERS {
        let mark = |source: &str| if attribute { source.to_owned() } else { String::new() };
        // Writing to a `String` cannot fail.
        let _ = write!(
            text,
            "#[derive(Debug, Deserialize, Serialize)]\npub struct Out{number} {{ pub total: f64, pub items: Vec<String> }}\n\
             {}pub async fn step_{number}({}id: i64, {}items: Vec<String>, {}note: Option<String>, {}rate: f64) -> Result<Out{number}, {}> {{\n    \
             Ok(Out{number} {{ total: id as f64 * rate + note.map_or(0.0, |note| note.len() as f64), items }})\n}}\n",
            mark("#[tasker::step_handler]\n"),
            mark("#[input] "),
            mark("#[input] "),
            mark("#[input] "),
            mark("#[config(\"rate\")] "),
            if attribute { "tasker::StepError" } else { "String" },
        );
    }
    text
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
