//! What is larger than it may be is refused, and soon.

use std::fmt::Write;
use std::time::{Duration, Instant};

use tasker_types::template::limits::{MAX_DEPTH, MAX_EDGES, MAX_FINDINGS, MAX_SOURCE_BYTES, MAX_STEPS};
use tasker_types::template::{Findings, parse};

/// A bound for a slow, busy machine and a build without optimisation; with optimisation the slowest of these takes a
/// quarter of a second. A quadratic walk over a megabyte would take minutes.
const SOON: Duration = Duration::from_secs(20);

fn refused_soon(source: &str) -> Findings {
    let begun = Instant::now();
    let findings = parse("t.yaml", source).expect_err("it is refused");
    let text = findings.to_string();
    let took = begun.elapsed();
    assert!(took < SOON, "{took:?} for {} bytes: {}", source.len(), &text[..text.floor_char_boundary(200)]);
    assert!(findings.len() <= MAX_FINDINGS);
    findings
}

fn told(findings: &Findings) -> Vec<(&str, &str)> {
    findings.iter().map(|finding| (finding.code, finding.message.as_str())).collect()
}

#[test]
fn a_file_of_more_than_a_megabyte_is_not_read() {
    let source = "#".repeat(MAX_SOURCE_BYTES + 1);
    assert_eq!(told(&refused_soon(&source)), [("T002", "the file has 1048577 bytes; a template has at most 1048576")]);
    let full = format!("name: t\nsteps: [name: a]\n{}", "#".repeat(MAX_SOURCE_BYTES - 25));
    assert_eq!(full.len(), MAX_SOURCE_BYTES);
    assert!(parse("t.yaml", &full).is_ok());
}

#[test]
fn an_alias_bomb_is_refused() {
    // Each level stands for nine of the level before: 9^10 values in a few lines, then in 110 KB.
    let mut source = "name: t\nmetadata:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..=10 {
        let nine = vec![format!("*a{}", level - 1); 9].join(", ");
        let _ = writeln!(source, "  a{level}: &a{level} [{nine}]");
    }
    let message = "the file has more than 500000 values, counting what its aliases stand for";
    assert_eq!(told(&refused_soon(&source)), [("T002", message)]);

    let wide = format!("metadata:\n  a: &a [{}]\n  b: [{}]\n", "x,".repeat(20_000), "*a,".repeat(20_000));
    assert!(wide.len() > 100_000);
    assert_eq!(told(&refused_soon(&wide)), [("T002", message)]);
}

#[test]
fn aliases_cannot_nest_deeper_than_brackets() {
    let mut source = "name: t\nmetadata:\n  a0: &a0 [x]\n".to_owned();
    for level in 1..=80 {
        let _ = writeln!(source, "  a{level}: &a{level} [*a{}]", level - 1);
    }
    assert_eq!(told(&refused_soon(&source)), [("T002", "values are nested more than 64 deep")]);
}

/// A megabyte of the piece.
fn megabyte_of(piece: &str) -> String {
    piece.repeat(MAX_SOURCE_BYTES / piece.len())
}

#[test]
fn a_megabyte_of_brackets_is_nested_too_deep() {
    for piece in ["[", "- ", "{", "? ", "a: {", "[a,"] {
        let findings = refused_soon(&megabyte_of(piece));
        assert_eq!(told(&findings), [("T002", "values are nested more than 64 deep")], "{piece}");
    }
}

#[test]
fn a_megabyte_of_text_is_refused_soon() {
    for piece in ["a", "a\n", "\"", "'", "|\n", "\n ", "\t", "#\n", "\u{feff}", "é", "\u{0}", "%A\n", "--- \n"] {
        refused_soon(&megabyte_of(piece));
    }
}

#[test]
fn a_megabyte_of_values_is_refused_soon() {
    for piece in ["- x\n", "- \n", "a:\n - ", "- &a b\n- *a\n", "&a ", "!a ", "*a "] {
        refused_soon(&megabyte_of(piece));
    }
    for step in ["{}", "{x: 1}"] {
        refused_soon(&format!("name: t\nsteps: [{}]", format!("{step},").repeat(MAX_STEPS)));
    }
    refused_soon(&format!("name: t\nsteps: [{}]", "x,".repeat(MAX_SOURCE_BYTES / 2 - 10)));
}

#[test]
fn a_megabyte_of_keys_is_refused_soon() {
    for piece in ["a: b\n", ": \n", "? a\n", "<<: [{}]\n"] {
        refused_soon(&megabyte_of(piece));
    }
    refused_soon(&(0..60_000).map(|number| format!("k{number}: 1\n")).collect::<String>());
}

/// `count` steps of which each depends on those that `of` names.
fn template(count: usize, of: impl Fn(usize) -> String) -> String {
    let mut source = "name: t\nsteps:\n".to_owned();
    for number in 0..count {
        let _ = writeln!(source, "- {{name: s{number}, dependencies: [{}]}}", of(number));
    }
    source
}

fn before(number: usize) -> String {
    number.checked_sub(1).map(|before| format!("s{before}")).unwrap_or_default()
}

#[test]
fn ten_thousand_steps_are_taken_and_one_more_is_not() {
    let begun = Instant::now();
    let parsed = parse("t.yaml", &template(MAX_STEPS, |number| before(number % 100))).unwrap();
    assert_eq!(parsed.template.graph().len(), MAX_STEPS);
    assert_eq!(parsed.places.len(), MAX_STEPS);
    assert_eq!(parsed.places[9_999].name.line, 10_002);
    assert!(begun.elapsed() < SOON);

    let findings = refused_soon(&template(MAX_STEPS + 1, |_| String::new()));
    assert_eq!(told(&findings), [("T017", "the template has 10001 steps; at most 10000 are allowed")]);
}

#[test]
fn the_longest_path_is_bounded() {
    assert!(parse("t.yaml", &template(MAX_DEPTH, before)).is_ok());
    let findings = refused_soon(&template(MAX_STEPS, before));
    assert_eq!(told(&findings), [("T018", "the longest path has 10000 steps; at most 1000 are allowed")]);
    let place = findings.iter().next().and_then(|finding| finding.span).unwrap();
    assert_eq!(place.line, 3 + MAX_DEPTH);
}

#[test]
fn sixty_thousand_dependencies_are_too_many() {
    let dense = |number: usize| {
        let of: Vec<_> = (0..number.min(250)).map(|other| format!("s{other}")).collect();
        of.join(",")
    };
    let findings = refused_soon(&template(366, dense));
    assert_eq!(told(&findings), [("T017", "the template has 60125 dependencies; at most 50000 are allowed")]);
    assert!(parse("t.yaml", &template(320, dense)).is_ok());
    assert_eq!(MAX_EDGES, 50_000);
}

#[test]
fn ten_thousand_unknown_dependencies_are_told_in_part() {
    let findings = refused_soon(&template(MAX_STEPS, |number| format!("z{number}")));
    assert_eq!(findings.len(), MAX_FINDINGS);
    assert_eq!(findings.omitted(), MAX_STEPS - MAX_FINDINGS);
    assert!(findings.to_string().ends_with("\n9900 more findings are not shown\n"));
}

#[test]
fn a_ring_of_ten_thousand_steps_is_told_in_short() {
    let findings = refused_soon(&template(MAX_STEPS, |number| format!("s{}", (number + 1) % MAX_STEPS)));
    assert_eq!(
        told(&findings),
        [(
            "T015",
            "these steps wait for each other: \
             s0 -> s1 -> s2 -> s3 -> s4 -> s5 -> … -> s9994 -> s9995 -> s9996 -> s9997 -> s9998 -> s9999 -> s0"
        )]
    );
}

#[test]
fn two_hundred_steps_that_all_wait_for_each_other_are_told_soon() {
    let findings = refused_soon(&template(200, |number| {
        let of: Vec<_> = (0..200).filter(|&other| other != number).map(|other| format!("s{other}")).collect();
        of.join(",")
    }));
    assert!(told(&findings).iter().all(|&(code, _)| code == "T015"));
}
