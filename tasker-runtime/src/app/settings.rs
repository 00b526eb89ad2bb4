//! What can be set: `tasker.toml`, over it the environment, over that the command line.

mod database;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tasker_types::suggest::nearest;

pub(crate) use self::database::{Place, database_place};
use super::project::Project;
use crate::engine::{Options, WakeUp};
use crate::store::Durability;

/// The keys of `tasker.toml`. Each but `database_url` is also an environment variable: `TASKER_SLOTS`.
pub(crate) const KEYS: &[&str] = &[
    "database_url",
    "templates",
    "slots",
    "drain_seconds",
    "cancel_grace_seconds",
    "retention_days",
    "durability",
    "lease_seconds",
    "wake_up",
    "env",
    "log",
];
/// The environment variable of `database_url`.
const DATABASE_URL: &str = "DATABASE_URL";
/// Variables of ours that are no settings.
const OTHER_VARIABLES: &[&str] = &["TASKER_DATABASE_URL"];
/// The database where nothing names one.
const DATABASE_DEFAULT: &str = "tasker.db";
const SLOTS_MAX: usize = 100_000;
const SECONDS_MAX: f64 = 24.0 * 3600.0;
const DAYS_MAX: u64 = 36_500;
const LEASE_DEFAULT: Duration = Duration::from_secs(30);
/// A shorter one would end while a server fails over.
const LEASE_SECONDS_MIN: u64 = 1;
const LEASE_SECONDS_MAX: u64 = 3_600;

/// What a program's author sets in code; everything else goes over it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Defaults {
    pub(crate) options: Options,
    pub(crate) templates: Option<PathBuf>,
}

/// Everything that is set.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The project.
    pub(crate) project: Project,
    /// Where the database is.
    pub(crate) database: Place,
    /// The folder of templates, where the program has one.
    pub(crate) templates: Option<PathBuf>,
    /// What the engine is started with.
    pub(crate) options: Options,
    /// How hard a commit is pressed to the disk.
    pub(crate) durability: Durability,
    /// How long a worker's lease on a server lasts when it is not renewed.
    pub(crate) lease: Duration,
    /// The environment that the program runs in, which templates may say something of.
    pub(crate) env: Option<String>,
    /// What is logged, as `tracing` filters it.
    pub(crate) log: Option<String>,
}

/// A setting that cannot be; the message says where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct BadSetting {
    /// Its stable code.
    pub(crate) code: &'static str,
    /// What is wrong, and where.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: Option<String>,
}

impl BadSetting {
    fn new(message: impl Into<String>) -> Self {
        Self { code: "E302", message: message.into(), help: None }
    }

    fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Settings {
    /// Reads the settings of the project around `folder`. `variables` are those of the environment, `database` is
    /// what the command line says.
    pub(crate) fn read(
        defaults: Defaults,
        folder: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
        database: Option<&str>,
    ) -> Result<Self, BadSetting> {
        let project = Project::around(folder);
        let mut settings = Self {
            database: Place::File(project.folder.join(DATABASE_DEFAULT)),
            templates: defaults.templates.map(|templates| project.resolve(&templates)),
            options: defaults.options,
            durability: Durability::default(),
            lease: LEASE_DEFAULT,
            env: None,
            log: None,
            project,
        };
        if let Some(file) = settings.project.settings_file.clone() {
            settings.take_file(&file)?;
        }
        for (variable, value) in variables {
            settings.take_variable(folder, &variable, &value)?;
        }
        if let Some(url) = database {
            settings.set("database_url", url, folder, "--db")?;
        }
        Ok(settings)
    }

    fn take_file(&mut self, file: &Path) -> Result<(), BadSetting> {
        let place = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| BadSetting::new(format!("{place} cannot be read: {error}")))?;
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| BadSetting::new(format!("{place}: {}", error.message())))?;
        let folder = self.project.folder.clone();
        for (key, value) in &table {
            if !KEYS.contains(&key.as_str()) {
                return Err(unknown(&place, key, KEYS.iter().copied()));
            }
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Float(number) => number.to_string(),
                other => {
                    return Err(BadSetting::new(format!("{place}: `{key}` is {}", other.type_str()))
                        .with_help("every setting is a text or a number"));
                }
            };
            self.set(key, &text, &folder, &format!("`{key}` in {place}"))?;
        }
        Ok(())
    }

    fn take_variable(&mut self, folder: &Path, variable: &str, value: &str) -> Result<(), BadSetting> {
        let place = format!("the environment variable {variable}");
        if variable == DATABASE_URL {
            return self.set("database_url", value, folder, &place);
        }
        let Some(key) = variable.strip_prefix("TASKER_") else { return Ok(()) };
        let key = key.to_ascii_lowercase();
        if KEYS.contains(&key.as_str()) {
            return self.set(&key, value, folder, &place);
        }
        // Applications have variables of their own; one that is nearly ours is a slip of the keyboard.
        if nearest(&key, KEYS.iter().copied()).is_some() && !OTHER_VARIABLES.contains(&variable) {
            let known = KEYS.iter().map(|key| format!("TASKER_{}", key.to_ascii_uppercase())).collect::<Vec<_>>();
            return Err(unknown("the environment", variable, known.iter().map(String::as_str)));
        }
        Ok(())
    }

    fn set(&mut self, key: &str, text: &str, folder: &Path, place: &str) -> Result<(), BadSetting> {
        match key {
            "database_url" => {
                self.database = database_place(text, folder).map_err(|bad| BadSetting {
                    code: bad.code,
                    message: format!("{place}: {}", bad.message),
                    help: bad.help,
                })?;
            }
            "templates" => self.templates = Some(folder.join(text)),
            "slots" => self.options.slots = number(text, 1, SLOTS_MAX, place)?,
            "drain_seconds" => self.options.drain = seconds(text, place)?,
            "cancel_grace_seconds" => self.options.cancel_grace = seconds(text, place)?,
            "retention_days" => {
                let days: u64 = number(text, 0, DAYS_MAX, place)?;
                self.options.retention = (days > 0).then(|| Duration::from_secs(days * 24 * 3600));
            }
            "durability" => {
                self.durability = match text {
                    "full" => Durability::Full,
                    "relaxed" => Durability::Relaxed,
                    other => {
                        return Err(BadSetting::new(format!("{place} is `{other}`"))
                            .with_help("`durability` is `full` or `relaxed`"));
                    }
                }
            }
            "lease_seconds" => {
                let seconds: u64 = number(text, LEASE_SECONDS_MIN, LEASE_SECONDS_MAX, place)?;
                self.lease = Duration::from_secs(seconds);
            }
            "wake_up" => {
                self.options.wake_up = match text {
                    "hybrid" => WakeUp::Hybrid,
                    "event_driven_only" => WakeUp::EventDrivenOnly,
                    "polling_only" => WakeUp::PollingOnly,
                    other => {
                        return Err(BadSetting::new(format!("{place} is `{other}`"))
                            .with_help("`wake_up` is `hybrid`, `event_driven_only` or `polling_only`"));
                    }
                }
            }
            "env" => self.env = (!text.is_empty()).then(|| text.to_owned()),
            "log" => self.log = Some(text.to_owned()),
            _ => {}
        }
        Ok(())
    }
}

fn unknown<'c>(place: &str, key: &str, known: impl Iterator<Item = &'c str> + Clone) -> BadSetting {
    let bad = BadSetting::new(format!("{place} sets `{key}`, which does not exist"));
    match nearest(key, known.clone()) {
        Some(near) => bad.with_help(format!("did you mean `{near}`?")),
        None => {
            bad.with_help(format!("there are {}", known.map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")))
        }
    }
}

fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy>(
    text: &str,
    least: T,
    most: T,
    place: &str,
) -> Result<T, BadSetting> {
    match text.trim().parse::<T>() {
        Ok(number) if number >= least && number <= most => Ok(number),
        _ => Err(BadSetting::new(format!("{place} is `{text}`"))
            .with_help(format!("it takes a whole number from {least} to {most}"))),
    }
}

fn seconds(text: &str, place: &str) -> Result<Duration, BadSetting> {
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        BadSetting::new(format!("{place} is `{text}`"))
            .with_help(format!("it takes a number of seconds from 0 to {SECONDS_MAX}"))
    })
}

#[cfg(test)]
mod tests;
