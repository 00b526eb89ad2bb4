//! `new`: a project that builds as it stands.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::{Format, New};
use super::exit::Exit;
use super::problem::Problem;
use super::screen::{BOLD, DIM};
use super::{Context, Outcome};

/// The files of a project beside its Cargo.toml: those of the example that the tests run.
const FILES: &[(&str, &str)] = &[
    ("src/main.rs", include_str!("new/main.rs.txt")),
    ("src/handlers.rs", include_str!("../../../examples/order_fulfillment/handlers.rs")),
    (
        "templates/order_fulfillment.yaml",
        include_str!("../../../examples/order_fulfillment/templates/order_fulfillment.yaml"),
    ),
    ("examples/order.json", include_str!("../../../examples/order_fulfillment/order.json")),
    ("tasker.toml", include_str!("new/tasker.toml.txt")),
    (".gitignore", "/target\ntasker.db*\n"),
];
const MANIFEST: &str = include_str!("new/Cargo.toml.txt");
/// The folder of the sources that this program was built from.
const SOURCES: &str = env!("CARGO_MANIFEST_DIR");

/// Runs the command.
pub(crate) fn run(context: &Context, args: &New) -> Outcome {
    let folder = &args.folder;
    refuse_full(folder)?;
    let dependency = dependency(args.path.as_deref())?;
    let name = package_name(folder);
    let manifest = MANIFEST.replace("{name}", &name).replace("{tasker}", &dependency);
    write(&folder.join("Cargo.toml"), &manifest)?;
    for (file, text) in FILES {
        write(&folder.join(file), text)?;
    }
    match context.screen.format() {
        Format::Table => {}
        Format::Id => context.screen.data(folder.display())?,
        _ => context.screen.document(&json!({ "path": folder, "name": name, "tasker": dependency }))?,
    }
    let screen = context.screen;
    screen.status(format!("made {BOLD}{name}{BOLD:#} in {}", folder.display()));
    screen.status(format!("  {DIM}src/handlers.rs{DIM:#}                     its steps, as functions"));
    screen.status(format!("  {DIM}templates/order_fulfillment.yaml{DIM:#}    which runs after which\n"));
    screen.status(format!("  cd {}", folder.display()));
    screen.status("  cargo run -- run order_fulfillment -i @examples/order.json --wait");
    screen.status("  cargo run -- dev");
    Ok(Exit::Ok)
}

fn refuse_full(folder: &Path) -> Result<(), Problem> {
    let full = |what: &str| {
        Problem::new("E315", format!("{} {what}", folder.display())).with_help("name a folder that is empty or missing")
    };
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().map_or(Ok(()), |_| Err(full("is not empty"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Err(full("is not a folder")),
        Err(error) => Err(Problem::new("E308", format!("{} cannot be read: {error}", folder.display()))),
    }
}

/// Where tasker comes from: a named folder, else the sources that this program was built from, else their repository.
fn dependency(path: Option<&Path>) -> Result<String, Problem> {
    let nothing =
        |message: String| Problem::new("E319", message).with_help("give the folder of tasker's source with --path");
    if let Some(path) = path {
        let whole = path
            .canonicalize()
            .map_err(|error| Problem::new("E308", format!("{} cannot be read: {error}", path.display())))?;
        return root(&whole).ok_or_else(|| nothing(format!("{} is not the source of tasker", path.display())));
    }
    if let Some(found) = Path::new(SOURCES).parent().and_then(root) {
        return Ok(found);
    }
    match option_env!("CARGO_PKG_REPOSITORY").filter(|url| !url.is_empty()) {
        Some(url) => Ok(format!("{{ git = \"{url}\" }}")),
        None => {
            Err(nothing("the source that this program was built from is gone, and it names no repository".to_owned()))
        }
    }
}

/// The dependency on the source in this folder, if it is that of tasker.
fn root(folder: &Path) -> Option<String> {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).ok()?;
    let table: toml::Table = manifest.parse().ok()?;
    let name = table.get("package")?.get("name")?.as_str()?;
    (name == "tasker").then(|| format!("{{ path = {} }}", toml_text(&folder.display().to_string())))
}

fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What Cargo takes for a name, of the folder's.
fn package_name(folder: &Path) -> String {
    let whole: PathBuf = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let name = whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(fits).collect();
    let name = name.trim_matches('-');
    // A package of the name of its dependency, or of a keyword's look, does not build.
    match name.chars().next() {
        None => "my-app".to_owned(),
        Some(first) if first.is_ascii_digit() || ["tasker", "test", "std", "core"].contains(&name) => {
            format!("my-{name}")
        }
        Some(_) => name.to_owned(),
    }
}

fn write(file: &Path, text: &str) -> Result<(), Problem> {
    let failed = |error: std::io::Error| Problem::new("E316", format!("{} cannot be written: {error}", file.display()));
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(file, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_a_name_that_cargo_takes() {
        for (folder, name) in [
            ("/x/my-app", "my-app"),
            ("/x/My App", "my-app"),
            ("/x/1st", "my-1st"),
            ("/x/tasker", "my-tasker"),
            ("/x/é", "my-app"),
            ("/", "my-app"),
        ] {
            assert_eq!(package_name(Path::new(folder)), name);
        }
    }
}
