//! What a developer runs: `cargo xtask lint | test | bless | bench`. It needs nothing installed beside Rust itself.

mod budget;
mod build_cost;
mod run;
mod tidy;

use anyhow::{Result, bail};

use run::{cargo, has_nextest, section};

const HELP: &str = "\
cargo xtask lint            fmt, clippy, docs, tidy, budgets
cargo xtask test            every test
cargo xtask bless           write down anew what the compile-fail tests print
cargo xtask bench [..]      measure whole runs: [--quick] [--rounds N] [--json] [ROW ..]
cargo xtask bench build     measure what `#[step_handler]` costs to build";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match verb.as_str() {
        "lint" => lint(),
        "test" => test(),
        "bless" => bless(),
        "bench" if rest == ["build"] => build_cost::measure(),
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
    section("tests")?;
    // Cases of the compiler are a package of their own, and run below.
    let tests = if has_nextest() { "nextest run" } else { "test --lib --bins --tests" };
    let which = "--workspace --exclude tasker-ui-tests --all-features --locked --no-fail-fast";
    let arguments: Vec<&str> = tests.split(' ').chain(which.split(' ')).collect();
    cargo(&arguments, &[])?;
    section("what misuse of the macros gets")?;
    cargo(&["test", "--package", "tasker-ui-tests", "--locked", "--test", "ui"], &[])?;
    section("examples in the docs")?;
    cargo(&["test", "--workspace", "--all-features", "--locked", "--doc"], &[])
}

fn bless() -> Result<()> {
    cargo(&["test", "--package", "tasker-ui-tests", "--test", "ui"], &[("TRYBUILD", "overwrite")])
}

fn bench(arguments: &[String]) -> Result<()> {
    let mut all = vec!["bench", "--features", "testing", "--bench", "runs", "--"];
    all.extend(arguments.iter().map(String::as_str));
    cargo(&all, &[])
}
