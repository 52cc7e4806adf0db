//! A table in one of the files, and the places of its keys and values.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// The number of the main file.
pub(super) const MAIN: usize = 0;

/// A place: some octets of one file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct At {
    /// The file's number.
    pub(super) file: usize,
    /// The octets in that file.
    pub(super) octets: Range<usize>,
}

/// A table that knows its file.
#[derive(Clone, Copy)]
pub(super) struct Table<'t> {
    file: usize,
    keys: &'t DeTable<'t>,
}

impl<'t> Table<'t> {
    pub(super) fn new(file: usize, keys: &'t DeTable<'t>) -> Self {
        Self { file, keys }
    }

    /// Whether the table is in the main file.
    pub(super) fn is_in_main(self) -> bool {
        self.file == MAIN
    }

    /// The key of that name.
    pub(super) fn entry(self, name: &str) -> Option<Entry<'t>> {
        let (key, value) = self.keys.get_key_value(name)?;
        Some(Entry { file: self.file, key, value })
    }

    /// All keys, in the order of the file.
    pub(super) fn entries(self) -> Vec<Entry<'t>> {
        let mut entries: Vec<_> = self.keys.iter().map(|(key, value)| Entry { file: self.file, key, value }).collect();
        entries.sort_by_key(|entry| entry.key.span().start);
        entries
    }
}

/// A key and its value.
#[derive(Clone, Copy)]
pub(super) struct Entry<'t> {
    file: usize,
    key: &'t Spanned<DeString<'t>>,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Entry<'t> {
    /// The key.
    pub(super) fn name(&self) -> &'t str {
        self.key.get_ref()
    }

    /// The value.
    pub(super) fn value(&self) -> &'t DeValue<'t> {
        self.value.get_ref()
    }

    /// The value, if it is a table.
    pub(super) fn table(&self) -> Option<Table<'t>> {
        Some(Table { file: self.file, keys: self.value().as_table()? })
    }

    /// Where the key is.
    pub(super) fn key_at(&self) -> At {
        self.place(self.key.span())
    }

    /// Where the value is.
    pub(super) fn at(&self) -> At {
        match self.value.span() {
            // A value that could not be read has no place.
            span if span.is_empty() => self.key_at(),
            span => self.place(span),
        }
    }

    /// The items of an array, each with its place; `None` for another value.
    pub(super) fn items(&self) -> Option<Vec<(&'t DeValue<'t>, At)>> {
        let DeValue::Array(items) = self.value() else { return None };
        Some(items.iter().map(|item| (item.get_ref(), self.place(item.span()))).collect())
    }

    fn place(&self, octets: Range<usize>) -> At {
        At { file: self.file, octets }
    }
}
