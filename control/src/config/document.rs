//! The TOML tree with its positions: tables and values that know where they stand and how to refuse themselves.
//!
//! Read by hand and not by derive, so that one pass finds every mistake and each has its line and its key.

use core::cell::RefCell;
use core::ops::{Range, RangeInclusive};
use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::locate::Lines;
use super::suggest;

/// What reading one set of files finds out beside the values: mistakes, and where each key stands.
#[derive(Debug, Default)]
pub(super) struct Record {
    errors: RefCell<Vec<ConfigError>>,
    places: RefCell<BTreeMap<String, (String, usize)>>,
}

impl Record {
    pub(super) fn push(&self, error: ConfigError) {
        let mut errors = self.errors.borrow_mut();
        if errors.len() < MAX_ERRORS {
            errors.push(error);
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.errors.borrow().is_empty()
    }

    /// The mistakes, and file and line of each key.
    pub(super) fn into_parts(self) -> (Vec<ConfigError>, BTreeMap<String, (String, usize)>) {
        (self.errors.into_inner(), self.places.into_inner())
    }
}

/// A file, as far as positions need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    pub(super) name: &'a str,
    pub(super) lines: &'a Lines<'a>,
    pub(super) record: &'a Record,
}

/// Somewhere in a file: what an error or a later "already used there" points at.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    page: Page<'a>,
    span: Range<usize>,
    /// The key, with its tables.
    pub(super) key: String,
}

impl<'a> Place<'a> {
    /// Reports a mistake here.
    pub(super) fn refuse(&self, problem: impl Into<String>, remedy: impl Into<String>) {
        let (line, column) = self.page.lines.position(self.span.start);
        self.page.record.push(ConfigError {
            file: self.page.name.to_owned(),
            line,
            column,
            key: self.key.clone(),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    /// `FILE:LINE`.
    pub(super) fn line(&self) -> String {
        format!("{}:{}", self.page.name, self.page.lines.line(self.span.start))
    }

    /// The file.
    pub(super) fn file(&self) -> &'a Path {
        Path::new(self.page.name)
    }

    /// Keeps the place for those who ask for it by key.
    fn note(&self) {
        let place = (self.page.name.to_owned(), self.page.lines.line(self.span.start));
        self.page.record.places.borrow_mut().insert(self.key.clone(), place);
    }
}

/// A table whose keys are asked for one by one; [`Table::finish`] refuses those that nobody asked for.
#[derive(Debug)]
pub(super) struct Table<'a> {
    entries: &'a DeTable<'a>,
    place: Place<'a>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// The top of a file.
    pub(super) fn root(page: Page<'a>, entries: &'a DeTable<'a>) -> Self {
        Self::at(entries, Place { page, span: 0..0, key: String::new() })
    }

    fn at(entries: &'a DeTable<'a>, place: Place<'a>) -> Self {
        Self { entries, place, known: RefCell::default() }
    }

    /// Where the table starts.
    pub(super) fn place(&self) -> &Place<'a> {
        &self.place
    }

    /// The value of a key, if it is there. The key is known from here on.
    pub(super) fn value(&self, key: &'static str) -> Option<Value<'a>> {
        self.known.borrow_mut().push(key);
        let (name, value) = self.entries.get_key_value(key)?;
        let value = self.entry(name, value);
        value.place.note();
        Some(value)
    }

    /// Reads the value of an optional key; `None` where it is absent or refused.
    pub(super) fn read<T>(&self, key: &'static str, read: impl FnOnce(&Value<'a>) -> Option<T>) -> Option<T> {
        read(&self.value(key)?)
    }

    /// Reads the value of a key that must be there; `remedy` says what to write.
    pub(super) fn require<T>(
        &self,
        key: &'static str,
        remedy: &str,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key);
        if value.is_none() {
            self.missing(key, remedy);
        }
        read(&value?)
    }

    /// Reports that a key is missing.
    pub(super) fn missing(&self, key: &str, remedy: impl Into<String>) {
        let place = Place { key: join(&self.place.key, key), ..self.place.clone() };
        place.refuse("is missing", remedy);
    }

    /// All entries, for tables whose keys are names that the operator chooses.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.entries.iter().map(|(name, value)| {
            let value = self.entry(name, value);
            value.place.note();
            (name.get_ref().as_ref(), value)
        })
    }

    /// Refuses every key that was not asked for.
    pub(super) fn finish(self) {
        let known = self.known.borrow();
        for (name, value) in self.entries {
            let written = name.get_ref().as_ref();
            if known.contains(&written) {
                continue;
            }
            let mut place = self.entry(name, value).place;
            place.span = name.span();
            let remedy = match suggest::nearest(written, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("remove it; possible here: {}", known.join(", ")),
            };
            place.refuse("unknown key", remedy);
        }
    }

    fn entry(&self, name: &Spanned<toml::de::DeString<'a>>, value: &'a Spanned<DeValue<'a>>) -> Value<'a> {
        let key = join(&self.place.key, name.get_ref());
        // A table may have several headers (`[a.b]` before `[a]`): its name stands in the first.
        let span = if matches!(value.get_ref(), DeValue::Table(_)) { name.span() } else { value.span() };
        Value { value: value.get_ref(), place: Place { page: self.place.page, span, key } }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    value: &'a DeValue<'a>,
    place: Place<'a>,
}

impl<'a> Value<'a> {
    /// Reports a mistake here; returns `None`, so that a reader can end with it.
    pub(super) fn refuse<T>(&self, problem: impl Into<String>, remedy: impl Into<String>) -> Option<T> {
        self.place.refuse(problem, remedy);
        None
    }

    pub(super) fn place(&self) -> &Place<'a> {
        &self.place
    }

    /// A string; `example` is what the remedy shows.
    pub(super) fn string(&self, example: &str) -> Option<&'a str> {
        self.word().or_else(|| self.wrong_type("a string in quotes", example))
    }

    /// The string, where it is one; what is none is no mistake here.
    pub(super) fn word(&self) -> Option<&'a str> {
        if let DeValue::String(text) = self.value { Some(text) } else { None }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        if let DeValue::Boolean(yes) = self.value {
            Some(*yes)
        } else {
            self.wrong_type("true or false", "write true or false, without quotes")
        }
    }

    /// A whole number within bounds.
    pub(super) fn integer(&self, bounds: &RangeInclusive<u64>) -> Option<u64> {
        let (low, high) = (bounds.start(), bounds.end());
        let remedy = format!("write a whole number from {low} to {high}, without quotes");
        let DeValue::Integer(written) = self.value else {
            return self.wrong_type("a whole number", &remedy);
        };
        match u64::from_str_radix(written.as_str(), written.radix()) {
            Ok(number) if bounds.contains(&number) => Some(number),
            _ => self.refuse(format!("{written} is out of bounds"), remedy),
        }
    }

    /// A number, with a fraction or without, as it is written; the digits are the caller's to judge.
    pub(super) fn number(&self, example: &str) -> Option<&'a str> {
        if let DeValue::Float(written) = self.value {
            return Some(written.as_str());
        }
        if let DeValue::Integer(written) = self.value
            && written.radix() == 10
        {
            return Some(written.as_str());
        }
        self.wrong_type("a decimal number", example)
    }

    /// The elements of an array.
    pub(super) fn array(&self, example: &str) -> Option<Vec<Value<'a>>> {
        let DeValue::Array(elements) = self.value else {
            return self.wrong_type("a list in square brackets", example);
        };
        if elements.len() > MAX_ELEMENTS {
            return self
                .refuse(format!("has {} elements", elements.len()), format!("write at most {MAX_ELEMENTS}"));
        }
        let element = |(index, value): (usize, &'a Spanned<DeValue<'a>>)| {
            let key = format!("{}[{}]", self.place.key, index + 1);
            Value { value: value.get_ref(), place: Place { page: self.place.page, span: value.span(), key } }
        };
        Some(elements.iter().enumerate().map(element).collect())
    }

    /// Elements of an array; 0 for anything else.
    pub(super) fn len(&self) -> usize {
        if let DeValue::Array(elements) = self.value { elements.len() } else { 0 }
    }

    /// A table.
    pub(super) fn table(&self, example: &str) -> Option<Table<'a>> {
        if let DeValue::Table(entries) = self.value {
            Some(Table::at(entries, self.place.clone()))
        } else {
            self.wrong_type("a table", example)
        }
    }

    fn wrong_type<T>(&self, wanted: &str, remedy: &str) -> Option<T> {
        self.refuse(format!("must be {wanted}, not {}", self.type_name()), remedy)
    }

    fn type_name(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }
}

/// `table.key`, with quotes where TOML needs them.
fn join(table: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let shortened: String = key.chars().take(MAX_SHOWN).collect();
    let key = if bare { shortened } else { format!("{shortened:?}") };
    if table.is_empty() { key } else { format!("{table}.{key}") }
}

/// An operator mends a few at a time; a hostile file must not fill the memory.
const MAX_ERRORS: usize = 100;
/// Longest list in a configuration.
const MAX_ELEMENTS: usize = 10_000;
/// Characters of a key that are shown.
const MAX_SHOWN: usize = 64;
