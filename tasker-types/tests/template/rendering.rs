//! Findings as text.

use proptest::prelude::*;
use tasker_types::template::{Finding, Span, codes, parse};

/// What is printed of a file.
fn printed(source: &str) -> String {
    match parse("t.yaml", source) {
        Ok(parsed) => parsed.warnings.iter().map(|warning| warning.render("t.yaml", source)).collect(),
        Err(findings) => findings.to_string(),
    }
}

#[test]
fn several_findings_stand_apart_and_other_places_are_joined() {
    let source =
        "name: t\nsteps:\n  - name: a\n  - name: b\n    dependencies: [validat]\n  - name: validate\n  - name: a\n";
    assert_eq!(
        printed(source),
        "\
error[T012]: step `b` depends on `validat`, which does not exist
  ╭─[t.yaml:5:20]
5 │     dependencies: [validat]
  ·                    ───┬───
  ·                       ╰── unknown step
  help: did you mean `validate`?

error[T011]: two steps are named `a`
  ╭─[t.yaml:7:11]
7 │   - name: a
  ·           ┬
  ·           ╰── named a second time here
  ├─[t.yaml:3:11]
3 │   - name: a
  ·           ┬
  ·           ╰── the first is here
"
    );
}

#[test]
fn line_numbers_of_several_widths_are_aligned() {
    let source =
        format!("name: t\nsteps:\n{}  - name: s3\n", "  - name: s3\n  - name: s4\n".to_owned() + &"\n".repeat(6));
    assert_eq!(
        printed(&source),
        "\
error[T011]: two steps are named `s3`
   ╭─[t.yaml:11:11]
11 │   - name: s3
   ·           ─┬
   ·            ╰── named a second time here
   ├─[t.yaml:3:11]
 3 │   - name: s3
   ·           ─┬
   ·            ╰── the first is here
"
    );
}

#[test]
fn tabs_and_wide_letters_keep_the_underline_in_its_place() {
    let source = "name: t\nmetadata: { 日本語:\t1 }\nsteps: [{ name:\t日本 }]\r\n";
    assert_eq!(
        printed(source),
        "\
error[T007]: bad step name: `日本` has `日`; names are made of a-z, 0-9 and `_`
  ╭─[t.yaml:3:17]
3 │ steps: [{ name:    日本 }]
  ·                    ────
"
    );
}

#[test]
fn a_long_line_is_cut_around_the_place() {
    let many = |prefix| (0..40).map(|n| format!("{{ name: {prefix}{n} }}, ")).collect::<String>();
    let source = format!("{{ name: t, steps: [{}{{ name: C }}, {}] }}", many("a"), many("b"));
    assert_eq!(
        printed(&source),
        "\
error[T007]: bad step name: `C` has `C`; names are made of a-z, 0-9 and `_`
  ╭─[t.yaml:1:618]
1 │ …a36 }, { name: a37 }, { name: a38 }, { name: a39 }, { name: C }, { name: b0 }, { name: b1 }, { name: b2 }, { name: b3 }…
  ·                                                              ─
  help: did you mean `c`?
"
    );
}

#[test]
fn of_a_place_with_several_lines_the_first_is_underlined() {
    let source = "name: t\nsteps:\n  - name: a\n    timeout_seconds: \"1\n      2\"\n";
    assert_eq!(
        printed(source),
        "\
error[T005]: `timeout_seconds` of step `a` must be a number, but is the text `1 2`
  ╭─[t.yaml:4:22]
4 │     timeout_seconds: \"1
  ·                      ─┬
  ·                       ╰── must be a number
"
    );
}

#[test]
fn the_end_of_a_file_can_be_pointed_at() {
    let source = "name: t";
    let finding = Finding::new(&codes::SYNTAX, "unexpected end").at(Span::of(source, 7..7));
    assert_eq!(
        finding.render("t.yaml", source),
        "\
error[T001]: unexpected end
  ╭─[t.yaml:1:8]
1 │ name: t
  ·        ─
"
    );
}

#[test]
fn a_finding_without_a_place_is_one_line() {
    let finding = Finding::new(&codes::NO_STEPS, "nothing to do").with_help("add a step");
    assert_eq!(finding.render("t.yaml", ""), "error[T016]: nothing to do\n  help: add a step\n");
}

#[test]
fn what_a_file_holds_cannot_drive_the_terminal() {
    let source = "name: t\nsteps: [{ name: \"a\\e[31m\" }]\n";
    let printed = printed(source);
    assert!(printed.contains("`a\u{fffd}[31m` has `\u{fffd}`"), "{printed}");
    let turned = self::printed("name: t\u{202e}x\nsteps: [name: a]\n");
    assert!(turned.contains("name: t\u{fffd}x"), "{turned}");
}

proptest! {
    #[test]
    fn any_place_of_any_text_can_be_shown(source: String, start: usize, length in 0_usize..50, label: String) {
        let start = start % (source.len() + 2);
        let finding = Finding::new(&codes::SYNTAX, label.clone())
            .at(Span::of(&source, start..start + length))
            .with_label(label);
        let shown = finding.render("a\nb.yaml", &source);
        prop_assert!(shown.ends_with('\n'));
        prop_assert!(shown.chars().all(|c| c == '\n' || !c.is_control()));
        prop_assert_eq!(shown.lines().count(), 5);
        prop_assert!(shown.lines().skip(1).take(3).all(|line| line.chars().count() < 150));
    }
}
