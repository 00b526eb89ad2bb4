//! What is refused or warned of: each code, at its place, in its words.

use std::collections::BTreeSet;

use tasker_types::template::{Finding, codes, parse};

/// A template with one step `a` that has these lines, beginning at line 4.
fn step(lines: &str) -> String {
    let indented: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("name: t\nsteps:\n  - name: a\n{indented}")
}

/// A template with these lines before its one step.
fn top(lines: &str) -> String {
    format!("name: t\n{lines}\nsteps: [name: a]\n")
}

/// Steps `a`, `b`, .. with these lists of dependencies.
fn steps(dependencies: &[&str]) -> String {
    let names = "abcdefghijklmnopqrstuvwxyz".chars();
    let lines = names.zip(dependencies).map(|(name, of)| format!("  - {{ name: {name}, dependencies: [{of}] }}\n"));
    format!("name: t\nsteps:\n{}", lines.collect::<String>())
}

fn findings(source: &str) -> Vec<Finding> {
    match parse("t.yaml", source) {
        Ok(parsed) => parsed.warnings,
        Err(findings) => findings.iter().cloned().collect(),
    }
}

/// Code, line, column, message, and help: what a finding says, in one line.
fn told(source: &str) -> Vec<String> {
    findings(source)
        .into_iter()
        .map(|finding| {
            let span = finding.span.expect("every finding has a place");
            let help = finding.help.map(|help| format!(" | {help}")).unwrap_or_default();
            format!("{} {}:{} {}{help}", finding.code, span.line, span.column, finding.message)
        })
        .collect()
}

/// Sources, and what is found in each.
fn cases() -> Vec<(String, Vec<&'static str>)> {
    vec![
        // The text.
        (String::new(), vec!["T001 1:1 the file is empty | a template has at least `name` and `steps`"]),
        ("# nothing\n".into(), vec!["T001 1:1 the file is empty | a template has at least `name` and `steps`"]),
        ("name: [a\n".into(), vec!["T001 1:7 not valid YAML: unclosed bracket '['"]),
        (
            "name: a\nsteps:\n\t- name: a\n".into(),
            vec![
                "T001 3:2 not valid YAML: tabs disallowed within this context (block indentation) | indent with spaces, not with tabs",
            ],
        ),
        (
            "name: *no\n".into(),
            vec![
                "T001 1:7 not valid YAML: while parsing node, found unknown anchor | an alias (`*name`) needs an anchor (`&name`) before it; put a text that begins with `*` in quotes",
            ],
        ),
        ("- a\n".into(), vec!["T005 1:3 the template must be a mapping, but is a list"]),
        ("just text\n".into(), vec!["T005 1:1 the template must be a mapping, but is the text `just text`"]),
        (
            "name: t\nsteps: [name: a]\n---\nname: u\n".into(),
            vec!["T020 3:1 the file has more than one document | keep one template a file"],
        ),
        (
            top("metadata: !secret x"),
            vec![
                "T020 2:19 the tag `!secret` cannot be used here | only `!!str`, `!!map` and `!!seq` are known; quotes make text of a value",
            ],
        ),
        (
            top("metadata: { [1]: 2 }"),
            vec!["T020 2:13 a key is a list; keys are text | put it in quotes if it is meant as text"],
        ),
        (top("metadata: &self [*self]"), vec!["T020 2:18 an alias stands inside of what it stands for"]),
        (
            top("metadata: { <<: 5 }"),
            vec!["T005 2:17 `<<` takes a mapping or a list of mappings, but is the number `5`"],
        ),
        (top("metadata: { a: 1, a: 2 }"), vec!["T003 2:19 the key `a` is given twice"]),
        (
            top("metadata: { a: 1, :a: 2 }"),
            vec![
                "T003 2:19 the key `a` is given twice | with and without a leading colon it is the same key",
                "T060 2:19 1 key is written with a leading colon | write `a:` instead of `:a:`",
            ],
        ),
        (
            top("metadata: [.inf, 1e999, 18446744073709551616]"),
            vec![
                "T021 2:12 JSON cannot hold the number `.inf` | put it in quotes to keep it as text",
                "T021 2:18 JSON cannot hold the number `1e999` | put it in quotes to keep it as text",
                "T021 2:25 JSON cannot hold the number `18446744073709551616` | put it in quotes to keep it as text",
            ],
        ),
        (
            top("description: \"a\\0b\""),
            vec!["T021 2:14 a text has a NUL character in it | PostgreSQL cannot store it; remove it"],
        ),
        // Keys.
        ("{}".into(), vec!["T006 1:1 the template has no `name`", "T006 1:1 the template has no `steps`"]),
        ("name: t\n".into(), vec!["T006 1:1 the template has no `steps`"]),
        (top("verion: 1.0.0"), vec!["T004 2:1 unknown key `verion` in the template | did you mean `version`?"]),
        (
            top("namespace: a"),
            vec!["T004 2:1 unknown key `namespace` in the template | did you mean `namespace_name`?"],
        ),
        (
            top("colour: red"),
            vec![
                "T004 2:1 unknown key `colour` in the template | known keys: `name`, `namespace_name`, `version`, `description`, `metadata`, `input_schema`, `identity_strategy`, `lifecycle`, `steps`, `environments`",
            ],
        ),
        (step("depends_on: [b]"), vec!["T004 4:5 unknown key `depends_on` in step `a` | did you mean `dependencies`?"]),
        (step("timeout: 5"), vec!["T004 4:5 unknown key `timeout` in step `a` | did you mean `timeout_seconds`?"]),
        (
            step("handler: { callable: a, initialisation: {} }"),
            vec!["T004 4:29 unknown key `initialisation` in `handler` of step `a` | did you mean `initialization`?"],
        ),
        (
            step("retry: { max_retries: 3 }"),
            vec!["T004 4:14 unknown key `max_retries` in `retry` of step `a` | did you mean `max_attempts`?"],
        ),
        (step("name: b"), vec!["T003 4:5 the key `name` is given twice"]),
        (
            step(":name: b"),
            vec![
                "T003 4:5 `name` of step `a` is given twice",
                "T060 4:5 1 key is written with a leading colon | write `name:` instead of `:name:`",
            ],
        ),
        (
            step("retry: { limit: 3, max_attempts: 4 }"),
            vec![
                "T003 4:14 `retry.max_attempts` of step `a` is given twice: `limit` is an older spelling of it | remove `limit`",
                "T061 4:14 `limit` is an older spelling of `max_attempts` | write `max_attempts`; the first attempt counts",
            ],
        ),
        // Names and versions.
        (
            "name: Order\nsteps: [name: a]\n".into(),
            vec![
                "T007 1:7 bad template name: `Order` has `O`; names are made of a-z, 0-9 and `_` | did you mean `order`?",
            ],
        ),
        (top("namespace_name: \"\""), vec!["T007 2:17 bad namespace name: it is empty"]),
        (
            "name: t\nsteps: [name: validate-order]\n".into(),
            vec![
                "T007 2:15 bad step name: `validate-order` has `-`; names are made of a-z, 0-9 and `_` | did you mean `validate_order`?",
            ],
        ),
        (
            top("version: 1.0"),
            vec!["T008 2:10 bad version `1.0`: a version is three numbers, such as 1.0.0 | did you mean `1.0.0`?"],
        ),
        (top("version: latest"), vec!["T008 2:10 bad version `latest`: a version is three numbers, such as 1.0.0"]),
        (
            step("handler: ValidateOrder"),
            vec![
                "T019 4:14 bad handler name: `ValidateOrder` has `V`; names are made of a-z, 0-9, `_` and `.` | did you mean `validate_order`?",
            ],
        ),
        (
            "name: t\nsteps: [name: 1st]\n".into(),
            vec![
                "T019 2:15 step `1st` names no handler, and its own name cannot be that of one | names of handlers begin with a letter; give the step a `handler`",
            ],
        ),
        // Types and ranges.
        ("name:\nsteps: [name: a]\n".into(), vec!["T005 1:1 `name` of the template must be text, but is empty"]),
        (step("description: [a]"), vec!["T005 4:18 `description` of step `a` must be text, but is a list"]),
        (step("handler: [a]"), vec!["T005 4:14 `handler` of step `a` must be a name or a mapping, but is a list"]),
        (
            step("handler: { initialization: 5 }"),
            vec!["T005 4:32 `handler.initialization` of step `a` must be a mapping, but is the number `5`"],
        ),
        (
            step("dependencies: b"),
            vec!["T005 4:19 `dependencies` of step `a` must be a list, but is the text `b` | write `[b]`"],
        ),
        (
            step("dependencies: [{ b: c }]"),
            vec!["T005 4:22 `dependencies` of step `a` must be names of steps, but one is a mapping"],
        ),
        (step("retry: 3"), vec!["T005 4:12 `retry` of step `a` must be a mapping, but is the number `3`"]),
        (
            step("retry: { retryable: no }"),
            vec![
                "T005 4:25 `retry.retryable` of step `a` must be `true` or `false`, but is the text `no` | YAML 1.2 reads `no` as text; write `false`",
            ],
        ),
        (
            step("retry: { max_attempts: \"3\" }"),
            vec![
                "T005 4:28 `retry.max_attempts` of step `a` must be a whole number, but is the text `3` | remove the quotes",
            ],
        ),
        (
            step("retry: { max_attempts: 1.5 }"),
            vec!["T005 4:28 `retry.max_attempts` of step `a` must be a whole number, but is the number `1.5`"],
        ),
        (
            step("retry: { max_attempts: 0, max_losses: 1001, backoff_base_ms: -1, max_backoff_ms: 2592000001 }"),
            vec![
                "T009 4:28 `retry.max_attempts` of step `a` must be from 1 to 1000",
                "T009 4:43 `retry.max_losses` of step `a` must be from 1 to 1000",
                "T009 4:66 `retry.backoff_base_ms` of step `a` must be from 0 to 2592000000",
                "T009 4:86 `retry.max_backoff_ms` of step `a` must be from 0 to 2592000000",
            ],
        ),
        (
            step("timeout_seconds: 30s"),
            vec!["T005 4:22 `timeout_seconds` of step `a` must be a number, but is the text `30s`"],
        ),
        (
            step("timeout_seconds: 0"),
            vec![
                "T009 4:22 `timeout_seconds` of step `a` must be above 0 and at most 2592000 (30 days) | write it as a plain number, such as 30 or 0.5",
            ],
        ),
        (
            step("timeout_seconds: 1e3"),
            vec![
                "T009 4:22 `timeout_seconds` of step `a` must be above 0 and at most 2592000 (30 days) | write it as a plain number, such as 30 or 0.5",
            ],
        ),
        (step("timeout_seconds: 0.0001"), vec!["T009 4:22 `timeout_seconds` of step `a` is finer than a millisecond"]),
        (
            step("retry: { backoff: exponental }"),
            vec![
                "T010 4:23 `retry.backoff` of step `a` is `exponental`, which is no way to back off | did you mean `exponential`?",
            ],
        ),
        (
            step("type: special"),
            vec![
                "T010 4:11 `type` of step `a` is `special`, which is no type of step | types are standard, decision, deferred_convergence, batchable, batch_worker",
            ],
        ),
        (
            top("identity_strategy: hash"),
            vec![
                "T010 2:20 `identity_strategy` of the template is `hash`, which is no way to tell requests apart | take one of always_unique, strict, caller_provided",
            ],
        ),
        // Steps and dependencies.
        ("name: t\nsteps: []\n".into(), vec!["T016 2:1 the template has no steps | add one: `- name: first_step`"]),
        ("name: t\nsteps:\n".into(), vec!["T016 2:1 the template has no steps | add one: `- name: first_step`"]),
        (
            "name: t\nsteps: { a: b }\n".into(),
            vec!["T005 2:10 `steps` of the template must be a list, but is a mapping"],
        ),
        ("name: t\nsteps: [a]\n".into(), vec!["T005 2:9 step 1 must be a mapping, but is the text `a`"]),
        ("name: t\nsteps: [description: x]\n".into(), vec!["T006 2:9 step 1 has no `name`"]),
        ("name: t\nsteps: [name: a, name: a]\n".into(), vec!["T011 2:24 two steps are named `a`"]),
        (steps(&["", "A"]), vec!["T012 4:31 step `b` depends on `A`, which does not exist | did you mean `a`?"]),
        (
            step("dependencies: [a]"),
            vec!["T013 4:20 step `a` depends on itself | remove it: the step would never start"],
        ),
        (steps(&["", "a, a"]), vec!["T014 4:34 step `b` names the dependency `a` twice"]),
        (
            steps(&["b", "c", "a", ""]),
            vec![
                "T015 3:31 these steps wait for each other: a -> b -> c -> a | each arrow reads \"depends on\"; remove one of them",
            ],
        ),
        (
            steps(&["b", "a", "d", "c"]),
            vec![
                "T015 3:31 these steps wait for each other: a -> b -> a | each arrow reads \"depends on\"; remove one of them",
                "T015 5:31 these steps wait for each other: c -> d -> c | each arrow reads \"depends on\"; remove one of them",
            ],
        ),
        // Kinds of steps.
        (
            step("type: decision"),
            vec!["T022 4:11 step `a` is a decision, but no step depends on it | let each branch's first step depend on it"],
        ),
        (
            step("type: deferred_convergence"),
            vec!["T023 4:11 step `a` is a convergence, but depends on no step | let it depend on the last step of each branch"],
        ),
        (
            "name: t\nsteps:\n  - name: a\n    type: decision\n    skippable: true\n  - name: b\n    dependencies: [a]\n".into(),
            vec![
                "T024 5:16 `skippable` of step `a` is `true`, but the step is a decision | let its handler choose a branch where it cannot decide",
            ],
        ),
        (
            step("type: decison"),
            vec!["T010 4:11 `type` of step `a` is `decison`, which is no type of step | did you mean `decision`?"],
        ),
        (
            step("type: batchable"),
            vec![
                "T025 4:11 step `a` is batchable, but no `batch_worker` depends on it | add a step of `type: batch_worker` that depends on it",
            ],
        ),
        (
            step("type: batch_worker"),
            vec![
                "T026 4:11 step `a` is a batch worker, but does not depend on one batchable step alone | let it depend on its `batchable` step and on no other",
            ],
        ),
        (
            step("batch_config: { parallelism: 0, failure_strategy: fail }"),
            vec![
                "T027 4:5 `batch_config` of step `a` is given, but the step is a `standard` | it belongs to the `batchable` step",
                "T009 4:34 `batch_config.parallelism` of step `a` must be from 1 to 20000",
                "T010 4:55 `batch_config.failure_strategy` of step `a` is `fail`, which is none | did you mean `fail_fast`?",
            ],
        ),
        // Inputs.
        (
            step("inputs: { total: b.c, whole: context, rate: contxt.rate, none: ~, dots: context..a }"),
            vec![
                "T030 4:22 `inputs.total` of step `a` comes from `b.c`, which does not exist | write `context.key` for what the task was submitted with, or begin with the name of a step before",
                "T030 4:49 `inputs.rate` of step `a` comes from `contxt.rate`, which does not exist | did you mean `context.rate`?",
                "T005 4:68 `inputs.none` of step `a` must be a place such as `context.key`, but is empty | write `context.key`, or `step.key` for the result of a step before",
                "T030 4:77 `inputs.dots` of step `a` comes from `context..a`, which is no place | write `context.key`, or `step.key` for the result of a step before",
            ],
        ),
        (
            step("inputs: [context]"),
            vec!["T005 4:13 `inputs` of step `a` must be a mapping, but is a list"],
        ),
        (
            step("inputs: { own: a.b, later: b.c, near: bb }") + "  - { name: b, dependencies: [a] }\n",
            vec![
                "T030 4:20 `inputs.own` of step `a` comes from `a.b`, which does not come before it | a step cannot be given its own result",
                "T030 4:32 `inputs.later` of step `a` comes from `b.c`, which does not come before it | add `b` to its `dependencies`",
                "T030 4:43 `inputs.near` of step `a` comes from `bb`, which does not exist | write `context.key` for what the task was submitted with, or begin with the name of a step before",
            ],
        ),
        // Schemas; what is wrong within them only who compiles them can tell.
        (top("input_schema: []"), vec!["T005 2:15 `input_schema` of the template must be a JSON Schema, but is an empty list"]),
        (
            step("result_schema: object"),
            vec!["T005 4:20 `result_schema` of step `a` must be a JSON Schema, but is the text `object`"],
        ),
        // Environments.
        (
            top("environments: { production: { steps: [{ name: aa, timeout_seconds: 1 }, { name: ALL, retries: 5 }] }, Test: {} }"),
            vec![
                "T031 2:47 environment `production` says something of `aa`, which does not exist | did you mean `a`?",
                "T004 2:86 unknown key `retries` in step `ALL` of environment `production` | did you mean `retry`?",
                "T007 2:103 bad environment name: `Test` has `T`; names are made of a-z, 0-9 and `_` | did you mean `test`?",
                "T006 2:109 environment `Test` has no `steps`",
            ],
        ),
        (
            top("environments: { e: { steps: [{ name: a, timeout_seconds: 0, handler: { initialization: 5 } }, { name: a }] } }"),
            vec![
                "T009 2:58 `timeout_seconds` of step `a` of environment `e` must be above 0 and at most 2592000 (30 days) | write it as a plain number, such as 30 or 0.5",
                "T005 2:88 `handler.initialization` of step `a` of environment `e` must be a mapping, but is the number `5`",
                "T011 2:103 environment `e` names `a` twice",
            ],
        ),
        // What is not built.
        (
            top("lifecycle: { max_duration_minutes: 0, staleness_action: dql }"),
            vec![
                "T009 2:36 `lifecycle.max_duration_minutes` of the template must be from 1 to 5270400",
                "T010 2:57 `lifecycle.staleness_action` of the template is `dql`, which is none | did you mean `dlq`?",
            ],
        ),
        (
            top("lifecycle: {}"),
            vec!["T006 2:12 `lifecycle` of the template has no `max_duration_minutes`"],
        ),
        (
            step("publishes_events: [{ name: Order.Validated }, { name: tasker.task.failed }, { condition: success }]"),
            vec![
                "T034 4:32 bad event name: `Order.Validated` has `O`; names are made of a-z, 0-9, `_` and `.` | did you mean `order.validated`?",
                "T034 4:59 bad event name: names that begin with `tasker.` are those of the engine's own events",
                "T006 4:83 `publishes_events` of step `a` has no `name`",
            ],
        ),
        (
            step("publishes_events: [{ name: x }, { name: x, condition: always }, { name: x, condition: success }]"),
            vec!["T035 4:77 step `a` publishes `x` on `success` twice"],
        ),
        (
            step("publishes_events: [{ name: x, condition: succes, delivery_mode: slow, publsher: p }]"),
            vec![
                "T010 4:46 `publishes_events.condition` of step `a` is `succes`, which is none | did you mean `success`?",
                "T010 4:69 `publishes_events.delivery_mode` of step `a` is `slow`, which is none | take one of durable, fast, broadcast",
                "T004 4:75 unknown key `publsher` in `publishes_events` of step `a` | did you mean `publisher`?",
            ],
        ),
        // The older dialect.
        (
            step(":timeout_seconds: 5"),
            vec![
                "T060 4:5 1 key is written with a leading colon | write `timeout_seconds:` instead of `:timeout_seconds:`",
            ],
        ),
        (
            step("retry: { limit: 3 }"),
            vec![
                "T061 4:14 `limit` is an older spelling of `max_attempts` | write `max_attempts`; the first attempt counts",
            ],
        ),
        (
            top("task_handler: { callable: X, initialization: { input_validation: { even: true } } }"),
            vec![
                "T062 2:17 `callable` of `task_handler` has no effect: steps have handlers, templates have none | remove it; of this block only `initialization.input_validation.required_fields` is used",
                "T063 2:68 `even` of `input_validation` is not enforced when a task is submitted | the first step's handler must check it; `required_fields` are enforced",
            ],
        ),
        (
            top("task_handler: { initialization: { input_validation: { required_fields: a } } }"),
            vec![
                "T005 2:72 `task_handler.initialization.input_validation.required_fields` of the template must be a list of names, but is the text `a`",
            ],
        ),
        (
            step("handler: rust::linear::Step1Handler"),
            vec![
                "T064 4:14 1 callable is written as a Rust path | write the handler's name; a path leads to the handler that has it as an alias, else to one whose Rust name is its last segment",
            ],
        ),
    ]
}

#[test]
fn each_mistake_is_told_at_its_place_in_these_words() {
    let mut wrong = String::new();
    for (source, expected) in cases() {
        let told = told(&source);
        if told != expected {
            wrong += &format!("--- {source}\n    expected {expected:#?}\n    told {told:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn warnings_alone_refuse_nothing() {
    for (source, expected) in cases() {
        let is_warning = |line: &&str| codes::find(&line[..4]).unwrap().severity.as_str() == "warning";
        assert_eq!(parse("t.yaml", &source).is_ok(), expected.iter().all(is_warning), "{source}");
    }
}

#[test]
fn every_code_of_the_table_is_shown_by_a_test() {
    let shown: BTreeSet<_> = cases().iter().flat_map(|(source, _)| findings(source)).map(|found| found.code).collect();
    // The limits have their tests in `bounds`.
    let bounded = ["T002", "T017", "T018"];
    // What is wrong within a schema is told by whoever compiles it.
    let shown: Vec<_> = shown.into_iter().chain(bounded).chain(["T032"]).collect();
    for code in codes::ALL {
        assert!(shown.contains(&code.code), "{} is never emitted", code.code);
    }
    assert_eq!(shown.len(), codes::ALL.len());
}

#[test]
fn codes_are_unique_and_in_order() {
    assert!(codes::ALL.is_sorted_by(|a, b| a.code < b.code));
    for code in codes::ALL {
        assert_eq!(codes::find(code.code), Some(code));
        assert!(code.explanation.ends_with('.') && !code.explanation.contains("  "), "{}", code.code);
    }
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_in_their_order() {
    let source = "\
naem: t
version: 1
steps:
  - name: a
    retry: { max_attempts: 0, backof: linear }
    dependencies: [b, zz]
  - name: b
    timeout_second: 5
    dependencies: [a]
    lifecyle: {}
";
    let codes: Vec<_> = findings(source).iter().map(|found| found.code).collect();
    assert_eq!(codes, ["T004", "T008", "T009", "T004", "T015", "T012", "T004", "T004"]);
}
