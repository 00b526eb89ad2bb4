//! Compiles the cases: `cargo test -p tasker-ui-tests`, and `TRYBUILD=overwrite` to bless what the compiler says.
//!
//! What a compiler prints changes with it, so one compiler is blessed. With another the cases are skipped, with a line
//! that says so; on CI (`CI` is set) another compiler is a failure, so that the cases never stop running unnoticed.
//! The wording of our own messages is tested on every compiler, in `tasker-macros`.

use std::process::Command;

/// The compiler whose output is kept in `fail/*.stderr`.
const BLESSED: &str = "rustc 1.95.";

#[test]
fn cases_compile_or_say_why_not() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("rustc runs");
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !version.starts_with(BLESSED) {
        assert!(std::env::var_os("CI").is_none(), "the cases are blessed for {BLESSED}x, and CI has {version}");
        println!("skipped: the cases are blessed for {BLESSED}x, and this is {version}");
        return;
    }
    let cases = trybuild::TestCases::new();
    cases.pass("pass/*.rs");
    cases.compile_fail("fail/*.rs");
}
