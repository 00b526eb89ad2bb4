//! What a developer runs: `cargo xtask lint | test | sim | faults | bless | bench`. It needs nothing installed beside Rust
//! itself, and PostgreSQL, pgbouncer and libfaketime for the tests of that store.

mod budget;
mod build_cost;
mod faults;
mod install;
mod postgres;
mod previous;
mod run;
mod tidy;
mod tools;

use anyhow::{Result, bail, ensure};

use run::{cargo, has_nextest, section};

const HELP: &str = "\
cargo xtask lint            fmt, clippy, docs, tidy, budgets
cargo xtask test            every test, on both databases
cargo xtask sim [..]        the engine in simulated worlds: [--seeds N] [--from SEED]
cargo xtask faults [..]     workers and servers killed, stopped, cut off: [--full] [--seed N] [--kills N] [--zombies N]
                            [--commits N] [--server-kills N] [--restarts N] [--networks N] [TEST ..]
cargo xtask postgres -- ..  a command beside a PostgreSQL server of its own, which TASKER_TEST_POSTGRES names
cargo xtask bless           write down anew what the compile-fail tests print
cargo xtask bench [..]      measure whole runs: [--database sqlite|postgres|both] [--quick] [--rounds N] [--json]
                            [--svg FILE] [ROW ..]
cargo xtask bench plans     the plans of PostgreSQL's statements beside a million rows of each kind
cargo xtask bench build     measure what `#[step_handler]` costs to build";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match verb.as_str() {
        "lint" => lint(),
        "test" => test(),
        "sim" => sim(&rest),
        "faults" => faults::run(&rest),
        "postgres" => postgres::with_server(&rest),
        "bless" => bless(),
        "bench" if rest == ["build"] => build_cost::measure(),
        "bench" if rest == ["plans"] => plans(),
        "bench" => bench(&rest),
        "" | "help" | "--help" | "-h" => run::say(HELP),
        other => bail!("there is no `{other}`\n\n{HELP}"),
    }
}

fn lint() -> Result<()> {
    section("fmt")?;
    cargo(&["fmt", "--all", "--check"], &[])?;
    section("clippy")?;
    cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--locked", "--", "-D", "warnings"], &[])?;
    section("docs")?;
    cargo(&["doc", "--workspace", "--no-deps", "--all-features", "--locked"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    section("tidy")?;
    tidy::check()?;
    section("budgets")?;
    budget::check()
}

fn test() -> Result<()> {
    section("PostgreSQL")?;
    tools::provide()?;
    let server = if std::env::var_os(postgres::VARIABLE).is_some() { None } else { postgres::find_or_start()? };
    let has_server = server.is_some() || std::env::var_os(postgres::VARIABLE).is_some();
    let skipped = std::env::temp_dir().join(format!("tasker-not-run-{}", std::process::id()));
    let mut environment = vec![(SKIPPED, skipped.to_string_lossy().into_owned()), (SIM_SEEDS, "5000".to_owned())];
    environment.extend(server.as_ref().map(|server| (postgres::VARIABLE, server.url().to_owned())));
    section("the commit before")?;
    let previous = previous::build()?;
    environment.extend(previous.map(|program| (previous::VARIABLE, program.to_string_lossy().into_owned())));
    let outcome = run_tests(&environment);
    drop(server);
    let count = std::fs::read_to_string(&skipped).map_or(0, |names| names.lines().count());
    // It is there only where a test was skipped.
    let _ = std::fs::remove_file(&skipped);
    outcome?;
    if !has_server {
        section("not run")?;
        run::say(&format!("{count} tests of PostgreSQL were not run; to have it: {}", postgres::install_command()))?;
        ensure!(std::env::var_os("CI").is_none(), "nothing may be left out where CI is set");
    } else if count > 0 {
        section("not run")?;
        run::say(&format!("{count} tests were not run; each of them says why"))?;
    }
    Ok(())
}

/// The file in which tests that skip themselves write their names.
const SKIPPED: &str = "TASKER_TEST_SKIPPED";

fn run_tests(environment: &[(&str, String)]) -> Result<()> {
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    section("tests")?;
    // Cases of the compiler are a package of their own, and run below.
    let tests = if has_nextest() { "nextest run" } else { "test --lib --bins --tests" };
    let which = "--workspace --exclude tasker-ui-tests --all-features --locked --no-fail-fast";
    let arguments: Vec<&str> = tests.split(' ').chain(which.split(' ')).collect();
    cargo(&arguments, &environment)?;
    section("what misuse of the macros gets")?;
    cargo(&["test", "--package", "tasker-ui-tests", "--locked", "--test", "ui"], &[])?;
    section("examples in the docs")?;
    cargo(&["test", "--workspace", "--all-features", "--locked", "--doc"], &[])
}

/// How many worlds the test of the simulation runs, and from which seed on.
const SIM_SEEDS: &str = "TASKER_SIM_SEEDS";
const SIM_FROM: &str = "TASKER_SIM_FROM";
const SIM_KEEP: &str = "TASKER_SIM_KEEP";

fn sim(arguments: &[String]) -> Result<()> {
    let (mut seeds, mut from) = ("100000", "0");
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--seeds" => seeds = value,
            [name, value] if name == "--from" => from = value,
            _ => bail!("it is `cargo xtask sim [--seeds N] [--from SEED]`"),
        }
    }
    let test = "test --release --package tasker-runtime --features testing --test sim --locked";
    let which = "-- seeds_pass --exact --nocapture";
    let arguments: Vec<&str> = test.split(' ').chain(which.split(' ')).collect();
    let kept = run::root().join("tasker-runtime/tests/sim/seeds.txt");
    cargo(&arguments, &[(SIM_SEEDS, seeds), (SIM_FROM, from), (SIM_KEEP, &kept.to_string_lossy())])
}

fn bless() -> Result<()> {
    cargo(&["test", "--package", "tasker-ui-tests", "--test", "ui"], &[("TRYBUILD", "overwrite")])
}

/// How many rows of each kind there are where plans are looked at.
const PLAN_ROWS: &str = "TASKER_TEST_PLAN_ROWS";

fn plans() -> Result<()> {
    let Some(server) = postgres::find_or_start()? else {
        bail!("there is no PostgreSQL: {}", postgres::install_command())
    };
    let test = "test --package tasker-runtime --all-features --locked --lib store::postgres::tests::plan";
    let arguments: Vec<&str> = test.split(' ').collect();
    cargo(&arguments, &[(postgres::VARIABLE, server.url()), (PLAN_ROWS, "1000000")])
}

fn bench(arguments: &[String]) -> Result<()> {
    let alone = arguments.windows(2).any(|pair| pair == ["--database", "sqlite"]);
    let server = if alone { None } else { postgres::for_bench()? };
    let environment: Vec<(&str, &str)> = server.iter().map(|(variable, server)| (*variable, server.url())).collect();
    let mut all = vec!["bench", "--features", "testing", "--bench", "runs", "--"];
    all.extend(arguments.iter().map(String::as_str));
    cargo(&all, &environment)
}
