//! One case as its runner sees it.
//!
//! The case keeps the books that make a runner honest: which files and which keys of their YAML were read, how many
//! expected values were compared, which rules refused something. Expected values never leave this file: a runner hands in
//! what it computed and the case compares. So `--tamper` can damage the n-th expectation of any runner.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use consensus::Fork;
use consensus::config::Config;
use serde_json::Value;

use crate::compare;
use crate::source::{CaseFiles, CasePath};
use crate::yaml::Yaml;
use crate::{Failure, NamedRule};

/// Largest decompressed size accepted: four times the largest object in the vectors (mainnet states of 64 MiB).
const MAX_SSZ_BYTES: usize = 256 << 20;

/// Whether a case depends on signature checks (`bls_setting` of meta.yaml).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlsSetting {
    /// Valid signatures; checking them or not makes no difference.
    Optional,
    /// The case is about a signature: they must be checked.
    Required,
    /// Signatures are not valid and must not be checked.
    Ignored,
}

/// One case under test.
pub struct Case<'a> {
    files: &'a CaseFiles,
    fork: Fork,
    damage: Option<usize>,
    opened: RefCell<BTreeSet<String>>,
    documents: RefCell<BTreeMap<String, Rc<Yaml>>>,
    compared: Cell<usize>,
    rules: RefCell<Vec<String>>,
}

impl<'a> Case<'a> {
    /// `damage` is the number of the expectation to damage, counted from 0 in the order of comparison.
    pub(crate) fn new(files: &'a CaseFiles, fork: Fork, damage: Option<usize>) -> Self {
        Case {
            files,
            fork,
            damage,
            opened: RefCell::default(),
            documents: RefCell::default(),
            compared: Cell::new(0),
            rules: RefCell::default(),
        }
    }

    /// Where the case stands in the layout.
    pub fn path(&self) -> &CasePath {
        &self.files.path
    }

    /// The fork of the case's folder.
    pub fn fork(&self) -> Fork {
        self.fork
    }

    /// Whether the case has this file; asking does not count as reading.
    pub fn has(&self, file: &str) -> bool {
        self.files.names().any(|name| name == file)
    }

    /// The names of all files of the case; asking does not count as reading.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.names()
    }

    /// The raw bytes of a file.
    pub fn bytes(&self, file: &str) -> Result<Vec<u8>, Failure> {
        let bytes = self
            .files
            .read(file)
            .ok_or_else(|| Failure::new(format!("the case has no file {file}")))?;
        self.opened.borrow_mut().insert(file.to_owned());
        Ok(bytes?)
    }

    /// The decompressed bytes of a `.ssz_snappy` file (raw snappy, not framed).
    pub fn ssz(&self, file: &str) -> Result<Vec<u8>, Failure> {
        let packed = self.bytes(file)?;
        let told = |error: snap::Error| Failure::new(format!("{file} is not raw snappy: {error}"));
        let length = snap::raw::decompress_len(&packed).map_err(told)?;
        if length > MAX_SSZ_BYTES {
            return Err(Failure::new(format!(
                "{file} unpacks to {length} bytes, more than the limit {MAX_SSZ_BYTES}"
            )));
        }
        snap::raw::Decoder::new().decompress_vec(&packed).map_err(told)
    }

    /// The text of a file, such as `config.yaml`.
    pub fn text(&self, file: &str) -> Result<String, Failure> {
        String::from_utf8(self.bytes(file)?).map_err(|error| Failure::new(format!("{file} is no UTF-8: {error}")))
    }

    /// A YAML file, parsed once; every key of it must be read before the case ends.
    pub fn yaml(&self, file: &str) -> Result<Rc<Yaml>, Failure> {
        if let Some(document) = self.documents.borrow().get(file) {
            return Ok(Rc::clone(document));
        }
        let document = Yaml::parse(&self.text(file)?).map_err(|failure| Failure::new(format!("{file}: {failure}")))?;
        let document = Rc::new(document);
        self.documents
            .borrow_mut()
            .insert(file.to_owned(), Rc::clone(&document));
        Ok(document)
    }

    /// `meta.yaml`, or an empty mapping where the case has none.
    pub fn meta(&self) -> Result<Rc<Yaml>, Failure> {
        if self.has("meta.yaml") {
            self.yaml("meta.yaml")
        } else {
            Ok(Rc::new(Yaml::Map(Vec::new())))
        }
    }

    /// The `bls_setting` of `meta.yaml`; optional where it is absent.
    pub fn bls_setting(&self) -> Result<BlsSetting, Failure> {
        match self.meta()?.find("bls_setting")?.map_or(Ok(0), Yaml::u64)? {
            0 => Ok(BlsSetting::Optional),
            1 => Ok(BlsSetting::Required),
            2 => Ok(BlsSetting::Ignored),
            other => Err(Failure::new(format!("bls_setting is {other}; known are 0, 1 and 2"))),
        }
    }

    /// The config of `config.yaml`; without that file the preset's standard one with the forks up to the case's at
    /// genesis.
    pub fn config(&self) -> Result<Config, Failure> {
        const FILE: &str = "config.yaml";
        if !self.has(FILE) {
            return Ok(Config::standard().with_forks_at_genesis(self.fork));
        }
        // A case varies one value at a time; some make a network that could not exist.
        let parsed = Config::from_yaml_unchecked(&self.text(FILE)?);
        Ok(parsed.map_err(|error| Failure::new(format!("{FILE}: {error}")))?.config)
    }

    /// Compares encoded bytes with an expected `.ssz_snappy` file.
    pub fn expect_ssz(&self, what: &str, file: &str, computed: &[u8]) -> Result<(), Failure> {
        let mut expected = self.ssz(file)?;
        if self.count_comparison() {
            match expected.last_mut() {
                Some(last) => *last ^= 1,
                None => expected.push(1),
            }
        }
        compare::bytes(&expected, computed).map_err(|difference| Failure::mismatch(format!("{what}: {difference}")))
    }

    /// Compares a value in its JSON form with an expected YAML node: numbers may be quoted or not, hexadecimal digits
    /// may have either case, a list of bytes may be a list or one `0x…` string.
    pub fn expect_yaml(&self, what: &str, expected: &Yaml, computed: &Value) -> Result<(), Failure> {
        expected.mark_read();
        let damaged = if self.count_comparison() {
            Some(expected.damaged())
        } else {
            None
        };
        compare::yaml(damaged.as_ref().unwrap_or(expected), computed)
            .map_err(|difference| Failure::mismatch(format!("{what}{difference}")))
    }

    /// Compares a scalar, such as a root, with an expected YAML node.
    pub fn expect_text(&self, what: &str, expected: &Yaml, computed: &str) -> Result<(), Failure> {
        self.expect_yaml(what, expected, &Value::String(computed.to_owned()))
    }

    /// Compares a boolean with an expected YAML node.
    pub fn expect_bool(&self, what: &str, expected: &Yaml, computed: bool) -> Result<(), Failure> {
        self.expect_yaml(what, expected, &Value::Bool(computed))
    }

    /// Compares whether something was accepted with whether it should be: `Some(value)` if both, `None` if it was refused
    /// and should be. This is no comparison of an output, so a valid case needs at least one of those beside it.
    pub fn expect_validity<T, E: NamedRule>(
        &self,
        what: &str,
        valid: bool,
        result: Result<T, E>,
    ) -> Result<Option<T>, Failure> {
        match result {
            Ok(value) if valid => Ok(Some(value)),
            Ok(_) => Err(Failure::new(format!(
                "{what}: accepted, but the case says that it is invalid"
            ))),
            Err(error) if valid => Err(Failure::new(format!(
                "{what}: refused by rule '{}': {error}",
                error.rule()
            ))),
            Err(error) => {
                self.refused(&error);
                Ok(None)
            }
        }
    }

    /// Notes the rule that refused something, for the table of rules.
    pub fn refused(&self, error: &impl NamedRule) {
        self.rules.borrow_mut().push(error.rule());
    }

    /// Counts one comparison; true if its expectation is the one to damage.
    fn count_comparison(&self) -> bool {
        let number = self.compared.get();
        self.compared.set(number + 1);
        self.damage == Some(number)
    }

    /// How many expected values were compared so far.
    pub(crate) fn compared(&self) -> usize {
        self.compared.get()
    }

    /// The rules noted so far.
    pub(crate) fn rules(&self) -> Vec<String> {
        self.rules.borrow().clone()
    }

    /// What of the case nobody read: a file or a key of a YAML file.
    pub(crate) fn unread(&self) -> Option<String> {
        let opened = self.opened.borrow();
        let files: Vec<&str> = self.files.names().filter(|name| !opened.contains(*name)).collect();
        if !files.is_empty() {
            return Some(format!("{} was not read", files.join(", ")));
        }
        let documents = self.documents.borrow();
        documents
            .iter()
            .find_map(|(file, document)| Some(format!("{} of {file} was not read", document.unread()?)))
    }
}
