//! The fenced blocks of a Markdown file, with the comment above each that says what a test does with it.

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block<'t> {
    /// The comment on the line above: `run: in my-app` or `file: src/main.rs`.
    pub(crate) mark: Option<&'t str>,
    /// What is in it.
    pub(crate) lines: Vec<&'t str>,
}

impl Block<'_> {
    pub(crate) fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// A command of a block, and the lines that it prints among others.
#[derive(Debug, PartialEq)]
pub(crate) struct Step<'t> {
    pub(crate) command: &'t str,
    pub(crate) prints: Vec<&'t str>,
}

/// All blocks, in their order.
pub(crate) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut above = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let mark = above.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
            found.push(Block { mark, lines: lines.by_ref().take_while(|line| !line.starts_with("```")).collect() });
        }
        above = line;
    }
    found
}

/// The commands of a block that is marked to be run.
pub(crate) fn steps<'t>(block: &Block<'t>) -> Vec<Step<'t>> {
    let mut steps: Vec<Step<'t>> = Vec::new();
    for &line in &block.lines {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command, prints: Vec::new() }),
            (None, Some(step)) => step.prints.push(line),
            (None, None) => panic!("a block that is run begins with a command: {line}"),
        }
    }
    steps
}

/// A line with everything taken out that differs from run to run: numbers, ids, the width of columns.
pub(crate) fn normal(line: &str) -> String {
    let word = |word: &str| {
        let inner = word.trim_matches(|c: char| "(),:;".contains(c));
        let number = inner.parse::<f64>().is_ok();
        let id = inner.len() >= 13 && inner.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        let unit = ["ms", "s", "µs", "min"].contains(&inner);
        match (number, id, unit) {
            (true, ..) => word.replace(inner, "N"),
            (_, true, _) => word.replace(inner, "ID"),
            (_, _, true) => word.replace(inner, "TIME"),
            _ => word.to_owned(),
        }
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// The first of `prints` that is not among the lines of `output`, in this order.
pub(crate) fn first_missing<'t>(prints: &[&'t str], output: &str) -> Option<&'t str> {
    let lines: Vec<String> = output.lines().map(normal).collect();
    let mut rest = lines.iter();
    prints.iter().copied().find(|wanted| {
        let wanted = normal(wanted);
        !rest.any(|line| line.starts_with(&wanted))
    })
}

#[test]
fn a_block_is_read_with_its_mark_and_commands() {
    let text = "intro\n<!-- run: in x -->\n```console\n$ one\nprinted\n$ two\n```\n```sh\nplain\n```\n";
    let blocks = blocks(text);
    assert_eq!(blocks.iter().map(|block| block.mark).collect::<Vec<_>>(), [Some("run: in x"), None]);
    let expected = [Step { command: "one", prints: vec!["printed"] }, Step { command: "two", prints: vec![] }];
    assert_eq!(steps(&blocks[0]), expected);
}

#[test]
fn what_differs_from_run_to_run_does_not_count_and_all_else_does() {
    assert_eq!(first_missing(&["✔ done  01a1fc05-8a2f in 1.2 s"], "x\n✔ done 01a1fc05-9999   in 30 ms"), None);
    assert_eq!(first_missing(&["a", "b"], "b\na"), Some("b"));
    assert_eq!(first_missing(&["✔ 4 handlers"], "✖ 4 handlers"), Some("✔ 4 handlers"));
    assert_eq!(first_missing(&["\"total\": 59.98,"], "\"total\": 60.98,"), None, "numbers are checked elsewhere");
}
