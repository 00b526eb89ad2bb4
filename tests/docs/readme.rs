//! README.md: every command that is marked runs, in its order, and prints what it says.

use crate::blocks::{blocks, steps};
use crate::shell::Shell;

const README: &str = include_str!("../../README.md");
/// The most lines that the whole application of the README may have.
const APPLICATION_LINES_MAX: usize = 45;

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let shell = Shell::new();
    let mut adopted = Vec::new();
    for block in blocks(README) {
        let Some(mark) = block.mark else { continue };
        if let Some(file) = mark.strip_prefix("file: ") {
            // The path of this source, where the README has the folder that a reader has cloned it into.
            let text = block.text().replace("\"../tasker\"", &format!("{:?}", env!("CARGO_MANIFEST_DIR")));
            shell.write(&format!("shop/{file}"), &text);
        } else {
            let folder = mark.strip_prefix("run: in ").expect("a mark says `file: ..` or `run: in ..`");
            let folder = if folder == "this folder" { "tasker" } else { folder };
            if folder != "tasker" && !adopted.contains(&folder) {
                shell.adopt(folder);
                adopted.push(folder);
            }
            steps(&block).iter().for_each(|step| shell.run(folder, step));
        }
    }
    assert_eq!(adopted, ["my-app", "shop"]);
}

#[test]
fn the_whole_application_is_short() {
    let lines: usize = blocks(README)
        .iter()
        .filter(|block| block.mark.is_some_and(|mark| mark.starts_with("file: ")))
        .map(|block| block.lines.iter().filter(|line| !line.is_empty()).count())
        .sum();
    assert!((20..=APPLICATION_LINES_MAX).contains(&lines), "{lines}");
}

#[test]
fn the_two_commands_are_those_of_the_workspace() {
    assert!(README.contains("cargo run --release -- demo"));
    assert!(README.contains("cargo xtask test"));
    let aliases = include_str!("../../.cargo/config.toml");
    assert!(aliases.contains("xtask = "), "{aliases}");
}
