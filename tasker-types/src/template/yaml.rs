//! From YAML text to a tree of nodes. The only place that knows the YAML library.
//!
//! It reads the library's events itself, not through serde: serde stops at the first error, loses
//! the spelling of scalars, and cannot tell where a key stands. Everything is bounded: the text, the
//! nesting, and the number of nodes, in which whatever an alias stands for counts each time it is
//! used. So a bomb of aliases is refused after a bounded amount of work.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use serde_saphyr::granit_parser::{self as granit, ErrorKind, Event, Parser, ScalarStyle, ScanError, Tag};

use super::codes;
use super::limits::{MAX_NESTING, MAX_NODES, MAX_SOURCE_BYTES};
use super::node::{At, Entry, Kind, Node};
use super::report::Report;
use super::scalar::{describe, quoted};

/// The first document of `source`, or `None` after an error that leaves nothing to look at.
pub(super) fn read<'s>(source: &'s str, report: &mut Report) -> Option<Node<'s>> {
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("the file has {} bytes; a template has at most {MAX_SOURCE_BYTES}", source.len());
        report.add(&codes::TOO_LARGE, At { start: 0, end: 0 }, message);
        return None;
    }
    let mut options = granit::options! {
        flow_nesting_limit: MAX_NESTING,
        block_nesting_limit: MAX_NESTING,
    };
    options.set_emit_comments(false);
    let mut builder =
        Builder { source, report, open: Vec::new(), anchored: BTreeMap::new(), budget: MAX_NODES, root: None };
    let finished = builder.run(Parser::new_from_str_with_options(source, options));
    match (finished, builder.root) {
        (true, Some(root)) => Some(root),
        (true, None) => {
            report
                .add(&codes::SYNTAX, At { start: 0, end: 0 }, "the file is empty")
                .help("a template has at least `name` and `steps`");
            None
        }
        (false, _) => None,
    }
}

/// A list or a mapping whose end has not come yet.
struct Open<'s> {
    at: At,
    anchor: usize,
    content: Content<'s>,
}

enum Content<'s> {
    List(Vec<Node<'s>>),
    Map {
        entries: Vec<Entry<'s>>,
        /// The key whose value comes next; `Some(None)` for one that cannot be a key.
        key: Option<Option<Key<'s>>>,
    },
}

/// A key's text, its place, and whether it stands without quotes.
type Key<'s> = (Cow<'s, str>, At, bool);

struct Builder<'s, 'r> {
    source: &'s str,
    report: &'r mut Report,
    open: Vec<Open<'s>>,
    anchored: BTreeMap<usize, Node<'s>>,
    budget: usize,
    root: Option<Node<'s>>,
}

impl<'s> Builder<'s, '_> {
    /// Takes in all events; `false` where it stopped before the end of the first document.
    fn run<I: granit::BorrowedInput<'s>>(&mut self, mut events: Parser<'s, I>) -> bool {
        while let Some(next) = events.next_event() {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    self.syntax_error(&error);
                    return false;
                }
            };
            let at = self.at(span.byte_range());
            let going_on = match event {
                Event::DocumentStart(..) if self.root.is_some() => {
                    self.report
                        .add(&codes::UNSUPPORTED_YAML, at, "the file has more than one document")
                        .label("the second document begins here")
                        .help("keep one template a file");
                    return true;
                }
                Event::Scalar(text, style, anchor, tag) => self.scalar(at, text, style, anchor, tag.as_deref()),
                Event::SequenceStart(_, anchor, tag) => {
                    self.begin(at, anchor, tag.as_deref(), "seq", Content::List(Vec::new()))
                }
                Event::MappingStart(_, anchor, tag) => {
                    let content = Content::Map { entries: Vec::new(), key: None };
                    self.begin(at, anchor, tag.as_deref(), "map", content)
                }
                Event::SequenceEnd | Event::MappingEnd => self.end(at),
                Event::Alias(anchor) => self.alias(at, anchor),
                _ => true,
            };
            if !going_on {
                return false;
            }
        }
        true
    }

    /// A place without the line breaks that block scalars end with.
    fn at(&self, bytes: Option<std::ops::Range<usize>>) -> At {
        let bytes = bytes.unwrap_or(0..0);
        let text = self.source.get(bytes.clone()).unwrap_or("");
        At { start: bytes.start, end: bytes.start + text.trim_end().len() }
    }

    fn scalar(&mut self, at: At, text: Cow<'s, str>, style: ScalarStyle, anchor: usize, tag: Option<&Tag>) -> bool {
        let is_text = tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
        if tag.is_some() && !is_text {
            self.bad_tag(at, tag);
        }
        if text.contains('\0') {
            self.report
                .add(&codes::NOT_JSON, at, "a text has a NUL character in it")
                .help("PostgreSQL cannot store it; remove it");
        }
        // The parser gives `~` for a value that is not written at all.
        let text = if at.start == at.end && text == "~" { Cow::Borrowed("") } else { text };
        let plain = style == ScalarStyle::Plain && !is_text;
        let node = Node { at, kind: Kind::Scalar { text, plain } };
        self.finished(node, anchor)
    }

    fn begin(&mut self, at: At, anchor: usize, tag: Option<&Tag>, own_tag: &str, content: Content<'s>) -> bool {
        if tag.is_some_and(|tag| tag.core_suffix() != Some(own_tag)) {
            self.bad_tag(at, tag);
        }
        if self.open.len() >= MAX_NESTING {
            return self.too_large(at, format!("values are nested more than {MAX_NESTING} deep"));
        }
        self.open.push(Open { at, anchor, content });
        true
    }

    fn end(&mut self, end: At) -> bool {
        let Some(open) = self.open.pop() else {
            return true;
        };
        // A block begins at its first entry and has no end of its own worth showing.
        let is_flow = self.source[open.at.start..].starts_with(['[', '{']);
        let at = if is_flow { At { start: open.at.start, end: end.end } } else { open.at };
        let kind = match open.content {
            Content::List(items) => Kind::List(items),
            Content::Map { entries, .. } => Kind::Map(settled(entries, self.report)),
        };
        let node = Node { at, kind };
        self.finished(node, open.anchor)
    }

    fn alias(&mut self, at: At, anchor: usize) -> bool {
        let Some(node) = self.anchored.get(&anchor) else {
            self.report
                .add(&codes::UNSUPPORTED_YAML, at, "an alias stands inside of what it stands for")
                .label("this would contain itself");
            return false;
        };
        let (count, height) = (node.count(), node.height());
        if self.open.len() + height > MAX_NESTING {
            return self.too_large(at, format!("values are nested more than {MAX_NESTING} deep"));
        }
        self.charge(at, count) && self.attach_copy(at, anchor)
    }

    fn attach_copy(&mut self, at: At, anchor: usize) -> bool {
        let Some(kind) = self.anchored.get(&anchor).map(|node| node.kind.clone()) else {
            return false;
        };
        self.attach(Node { at, kind })
    }

    /// Notes the node under its anchor, and puts it into what is open around it.
    fn finished(&mut self, node: Node<'s>, anchor: usize) -> bool {
        if !self.charge(node.at, 1) {
            return false;
        }
        if anchor != 0 {
            if !self.charge(node.at, node.count()) {
                return false;
            }
            self.anchored.insert(anchor, node.clone());
        }
        self.attach(node)
    }

    fn attach(&mut self, node: Node<'s>) -> bool {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return true;
        };
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { key: waiting, .. } if waiting.is_none() => {
                *waiting = Some(as_key(node, self.report));
            }
            Content::Map { entries, key } => {
                if let Some((key, key_at, key_plain)) = key.take().flatten() {
                    entries.push(Entry { key, key_at, key_plain, value: node });
                }
            }
        }
        true
    }

    fn charge(&mut self, at: At, nodes: usize) -> bool {
        match self.budget.checked_sub(nodes) {
            Some(rest) => {
                self.budget = rest;
                true
            }
            None => self.too_large(
                at,
                format!("the file has more than {MAX_NODES} values, counting what its aliases stand for"),
            ),
        }
    }

    fn too_large(&mut self, at: At, message: String) -> bool {
        self.report.add(&codes::TOO_LARGE, at, message);
        false
    }

    fn bad_tag(&mut self, at: At, tag: Option<&Tag>) {
        let tag = tag.map(Tag::original).unwrap_or_default();
        self.report
            .add(&codes::UNSUPPORTED_YAML, at, format!("the tag {} cannot be used here", quoted(&tag)))
            .help("only `!!str`, `!!map` and `!!seq` are known; quotes make text of a value");
    }

    fn syntax_error(&mut self, error: &ScanError) {
        let mark = error.marker();
        let start = self.source.floor_char_boundary(mark.byte_offset().unwrap_or(self.source.len()));
        let rest = &self.source[start..];
        let width = rest.chars().next().filter(|c| !c.is_whitespace()).map_or(0, char::len_utf8);
        let at = At { start, end: start + width };
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            self.too_large(at, format!("values are nested more than {MAX_NESTING} deep"));
            return;
        }
        let mut added = self.report.add(&codes::SYNTAX, at, format!("not valid YAML: {}", error.info()));
        if let Some(help) = help_for(error.kind()) {
            added = added.help(help);
        }
        added.label("the parser stopped here");
    }
}

/// A mapping's entries without those given twice, and with what its merge keys (`<<`) bring in:
/// an entry of its own goes before a merged one, an earlier merged one before a later.
fn settled<'s>(entries: Vec<Entry<'s>>, report: &mut Report) -> Vec<Entry<'s>> {
    let mut first_at: BTreeMap<Cow<'s, str>, At> = BTreeMap::new();
    let mut settled = Vec::with_capacity(entries.len());
    let mut merged = VecDeque::new();
    for entry in entries {
        if entry.key_plain && entry.key == "<<" {
            merged.push_back(entry.value);
        } else if let Some(&first) = first_at.get(&entry.key) {
            report
                .add(&codes::DUPLICATE_KEY, entry.key_at, format!("the key {} is given twice", quoted(&entry.key)))
                .label("given a second time here")
                .related(first, "the first is here");
        } else {
            first_at.insert(entry.key.clone(), entry.key_at);
            settled.push(entry);
        }
    }
    while let Some(value) = merged.pop_front() {
        match value.kind {
            Kind::Map(entries) => {
                for entry in entries {
                    if !first_at.contains_key(&entry.key) {
                        first_at.insert(entry.key.clone(), entry.key_at);
                        settled.push(entry);
                    }
                }
            }
            Kind::List(items) if items.iter().all(|item| matches!(item.kind, Kind::Map(_))) => {
                merged.extend(items);
            }
            _ => {
                let message = format!("`<<` takes a mapping or a list of mappings, but is {}", describe(&value));
                report.add(&codes::WRONG_TYPE, value.anchor(), message);
            }
        }
    }
    settled
}

fn as_key<'s>(node: Node<'s>, report: &mut Report) -> Option<Key<'s>> {
    match node.kind {
        Kind::Scalar { text, plain } if !(plain && text.is_empty()) => Some((text, node.at, plain)),
        Kind::Scalar { .. } => {
            report.add(&codes::UNSUPPORTED_YAML, node.at, "a key is empty");
            None
        }
        Kind::List(_) | Kind::Map(_) => {
            report
                .add(&codes::UNSUPPORTED_YAML, node.anchor(), format!("a key is {}; keys are text", describe(&node)))
                .help("put it in quotes if it is meant as text");
            None
        }
    }
}

fn help_for(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation | ErrorKind::TabNotAllowed => {
            "indent with spaces, not with tabs"
        }
        ErrorKind::MappingValueNotAllowed => "put the text in quotes if it has `: ` in it; else check the indentation",
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            "remove the character, or write it as an escape in double quotes"
        }
        ErrorKind::UnexpectedCharacter { .. } => "put the text in quotes",
        ErrorKind::UnknownAnchor => {
            "an alias (`*name`) needs an anchor (`&name`) before it; put a text that begins with `*` in quotes"
        }
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::ExpectedBlockSequenceEntry | ErrorKind::InvalidIndentation => {
            "check the indentation: the entries of one mapping or list begin in the same column"
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => {
            "a quote that was opened before is not closed"
        }
        _ => return None,
    })
}
