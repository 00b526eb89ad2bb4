//! The tests of faults, as often as asked for.

use anyhow::{Context as _, Result, bail, ensure};

use crate::run::cargo;
use crate::{postgres, tools};

/// How each number is asked for, where the tests read it, and how large it is in the full run.
const NUMBERS: &[(&str, &str, &str)] = &[
    ("--kills", "TASKER_KILLS", "1000"),
    ("--zombies", "TASKER_ZOMBIES", "300"),
    ("--commits", "TASKER_COMMITS", "500"),
    ("--server-kills", "TASKER_SERVER_KILLS", "100"),
    ("--restarts", "TASKER_RESTARTS", "20"),
    ("--networks", "TASKER_NETWORKS", "40"),
];
const SEED: (&str, &str) = ("--seed", "TASKER_SEED");

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut environment: Vec<(&str, String)> = Vec::new();
    let mut tests = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let known = NUMBERS.iter().map(|(name, variable, _)| (*name, *variable)).chain([SEED]);
        if argument == "--full" {
            // What is asked for by name counts, wherever it stands.
            let all = NUMBERS.iter().map(|(_, variable, number)| (*variable, (*number).to_owned()));
            environment.splice(..0, all);
        } else if let Some((_, variable)) = known.into_iter().find(|(name, _)| name == argument) {
            let number: u64 =
                rest.next().and_then(|text| text.parse().ok()).with_context(|| format!("{argument} N"))?;
            environment.push((variable, number.to_string()));
        } else if argument.starts_with('-') {
            let names: Vec<&str> = NUMBERS.iter().map(|(name, ..)| *name).collect();
            bail!("there is no `{argument}`; there are --full, --seed, {}", names.join(", "));
        } else {
            tests.push(argument.as_str());
        }
    }
    tools::provide()?;
    let server = if std::env::var_os(postgres::VARIABLE).is_some() { None } else { postgres::find_or_start()? };
    ensure!(
        server.is_some() || std::env::var_os(postgres::VARIABLE).is_some(),
        "there is no PostgreSQL to try it on; to have it: {}",
        postgres::install_command()
    );
    environment.extend(server.as_ref().map(|server| (postgres::VARIABLE, server.url().to_owned())));
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let test = "test --package tasker-runtime --all-features --test faults --locked -- --include-ignored --nocapture --test-threads 1";
    let arguments: Vec<&str> = test.split(' ').chain(tests).collect();
    let outcome = cargo(&arguments, &environment);
    drop(server);
    outcome
}
