//! Handlers of a library crate: linked where the binary names the crate, told what to do where it does not.
//!
//! Inventory finds what is linked, and the linker takes only crates that are named. This builds such binaries as users
//! do, as a release with fat LTO, where a dropped crate would be dropped first.

#![allow(clippy::expect_used, reason = "a test may stop where it stands")]

use std::path::{Path, PathBuf};
use std::process::Command;

const MANIFEST: &str = r#"
[workspace]
members = ["handlers_lib"]

[workspace.package]
edition = "2024"

[package]
name = "shop"
version = "0.1.0"
edition.workspace = true

[dependencies]
handlers_lib = { path = "handlers_lib" }
tasker = { path = "TASKER", default-features = false }

# The lowest level at which the linker still sees the whole program as one: what is tested is what is linked.
[profile.release]
lto = "fat"
codegen-units = 1
opt-level = 1
strip = true
[profile.release.package."*"]
opt-level = 0
"#;

const LIBRARY_MANIFEST: &str = r#"
[package]
name = "handlers_lib"
version = "0.1.0"
edition.workspace = true

[dependencies]
tasker = { path = "TASKER", default-features = false }
"#;

const LIBRARY: &str = r#"
mod private {
    #[tasker::step_handler]
    async fn pack() {}
}

#[tasker::step_handler(alias = "shop::Ship")]
pub async fn ship() {}
"#;

const MAIN: &str = r#"
use tasker::{AppState, NeededHandler, RustStepHandlerRegistry};

#[tasker::step_handler]
async fn own() {}

fn main() {
    let registry = RustStepHandlerRegistry::new();
    println!("{}", registry.list_handlers().join(" "));
    let needed = |callable: &str| NeededHandler { template: "shop".into(), step: "s".into(), callable: callable.into() };
    println!("{}", registry.problems(&AppState::default(), &[needed("own"), needed("pack"), needed("shop::Ship")]));
}
"#;

/// The binaries, in the order of their names: with and without the line that names the library.
fn build() -> (PathBuf, PathBuf) {
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join("link");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let with_root = |text: &str| text.replace("TASKER", &root.display().to_string().replace('\\', "/"));
    let write = |path: &str, text: &str| {
        let path = project.join(path);
        std::fs::create_dir_all(path.parent().expect("it is in the project")).expect("a directory");
        // Cargo looks at times: what is as it was stays as it was.
        if std::fs::read_to_string(&path).ok().as_deref() != Some(text) {
            std::fs::write(path, text).expect("a file");
        }
    };
    write("Cargo.toml", &with_root(MANIFEST));
    write("handlers_lib/Cargo.toml", &with_root(LIBRARY_MANIFEST));
    write("handlers_lib/src/lib.rs", LIBRARY);
    write("src/bin/named.rs", &format!("use handlers_lib as _;\n{MAIN}"));
    write("src/bin/unnamed.rs", MAIN);
    std::fs::copy(root.join("Cargo.lock"), project.join("Cargo.lock")).expect("the versions of this workspace");
    let target = project.join("target");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--offline", "--quiet", "--bins", "--target-dir"])
        .arg(&target)
        .current_dir(&project)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the project builds");
    let binary = |name: &str| target.join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    (binary("named"), binary("unnamed"))
}

fn output(binary: &Path) -> String {
    let output = Command::new(binary).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_library_that_is_named_brings_all_its_handlers_and_one_that_is_not_is_told() {
    let (named, unnamed) = build();
    assert_eq!(output(&named), "own pack ship\n\n");
    assert_eq!(
        output(&unnamed),
        "own\n\
         template `shop` needs handler `pack`; this binary has: `own`; \
         if `pack` is in a library crate, add `use that_crate as _;` to main.rs\n\
         template `shop` needs handler `shop::Ship`; this binary has: `own`; \
         if `shop::Ship` is in a library crate, add `use that_crate as _;` to main.rs\n"
    );
}
