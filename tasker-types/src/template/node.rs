//! The tree that YAML text is read into: every key and every scalar knows its place and keeps the
//! spelling that it has in the source.

use std::borrow::Cow;

use super::finding::Span;

/// A place in the source, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl At {
    /// A span whose line and column the report fills in when it is finished.
    pub(super) fn unlocated(self) -> Span {
        Span { start: self.start, end: self.end, line: 0, column: 0 }
    }
}

/// A value.
#[derive(Debug, Clone)]
pub(super) struct Node<'s> {
    pub(super) at: At,
    pub(super) kind: Kind<'s>,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Kind<'s> {
    /// Text, a number, a truth value or nothing. `plain` means without quotes: only then its text
    /// may stand for something other than itself.
    Scalar { text: Cow<'s, str>, plain: bool },
    /// A list.
    List(Vec<Node<'s>>),
    /// A mapping, in the order of the source.
    Map(Vec<Entry<'s>>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry<'s> {
    pub(super) key: Cow<'s, str>,
    pub(super) key_at: At,
    /// Whether the key stands without quotes.
    pub(super) key_plain: bool,
    pub(super) value: Node<'s>,
}

impl Node<'_> {
    /// How many values it is, itself counted.
    pub(super) fn count(&self) -> usize {
        match &self.kind {
            Kind::Scalar { .. } => 1,
            Kind::List(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            Kind::Map(entries) => 1 + entries.iter().map(|e| 1 + e.value.count()).sum::<usize>(),
        }
    }

    /// How many lists and mappings stand in each other.
    pub(super) fn height(&self) -> usize {
        match &self.kind {
            Kind::Scalar { .. } => 0,
            Kind::List(items) => 1 + items.iter().map(Node::height).max().unwrap_or(0),
            Kind::Map(entries) => 1 + entries.iter().map(|e| e.value.height()).max().unwrap_or(0),
        }
    }

    /// The place to point at for the value as a whole: for a list or a mapping, where it begins.
    pub(super) fn anchor(&self) -> At {
        match &self.kind {
            Kind::Map(entries) => entries.first().map_or(self.at, |entry| entry.key_at),
            Kind::List(items) if self.at.start == self.at.end => items.first().map_or(self.at, Node::anchor),
            Kind::Scalar { .. } | Kind::List(_) => self.at,
        }
    }
}
