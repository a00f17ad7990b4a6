//! `redact`: takes out of texts what nobody is to see.

mod find;

use std::ops::Range;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use regex::bytes::Regex;
use sha2::Sha256;
use towpath_sdk::config::{Node, OneOrMany, Pattern, Problems, Secret, options};
use towpath_sdk::json::{Documents, Kind, NodeId, put_string};
use towpath_sdk::{
    Cell, Path, Result, Side, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch,
};

use find::Finding;

options! {
    /// Looks into strings, and into numbers, which become strings where something is found. Names
    /// of fields, keys and headers are left alone.
    struct Options {
        /// What is looked for.
        find: OneOrMany<Finding> = [],
        /// What else is looked for: all that these regular expressions match.
        patterns: OneOrMany<Pattern> = [],
        /// The fields to look into, with all that is in them; the whole value when absent. It is no
        /// mistake when a record lacks one.
        fields: Option<OneOrMany<Path>>,
        /// What takes the place of what was found; `***` when absent.
        mask: Option<String>,
        /// Instead of a mask: the key of a hash (HMAC-SHA-256, the first 32 hexadecimal digits),
        /// so that the same finding always becomes the same text, and only who has the key can
        /// tell which.
        hash_key: Option<Secret>,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "redact",
    summary: "Replaces e-mail addresses, card numbers, IP addresses and what else is secret.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "everywhere in the value",
            options: "find: [email, card]",
            input: r#"{"user":"ada@example.com","note":"paid with 4111 1111 1111 1111"}"#,
            output: r#"{"user":"***","note":"paid with ***"}"#,
        },
        TransformExample {
            title: "one field, hashed",
            options: "{ find: ip, fields: client, hash_key: not-this-one }",
            input: r#"{"client":"192.0.2.7","server":"192.0.2.1"}"#,
            output: r#"{"client":"013e5bd6042fbf1634ea8fa1f84d73b0","server":"192.0.2.1"}"#,
        },
        TransformExample {
            title: "a pattern of one's own",
            options: r"{ patterns: 'token=\w+', mask: token=removed }",
            input: r#""GET /?token=a81f HTTP/1.1""#,
            output: r#""GET /?token=removed HTTP/1.1""#,
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    if options.find.is_empty() && options.patterns.is_empty() {
        problems.add(node.span, "`redact` takes `find` or `patterns`, or both");
        return None;
    }
    let replacement = match (options.mask, options.hash_key) {
        (mask, None) => Replacement::Mask(mask.unwrap_or("***".to_owned())),
        (None, Some(key)) => match Hmac::new_from_slice(key.reveal().as_bytes()) {
            Ok(hash) if !key.reveal().is_empty() => Replacement::Hash(hash),
            _ => {
                problems.add(node.span_of("hash_key"), "the key is empty");
                return None;
            }
        },
        (Some(_), Some(_)) => {
            problems.add(
                node.span_of("mask"),
                "only one of `mask` and `hash_key` is given",
            );
            return None;
        }
    };
    let mut sought: Vec<Sought> = options.find.iter().map(|one| Sought::Known(*one)).collect();
    for pattern in &options.patterns {
        match Regex::new(pattern.as_str()) {
            Ok(regex) => sought.push(Sought::Pattern(regex)),
            Err(error) => {
                problems.add(node.span_of("patterns"), error.to_string());
                return None;
            }
        }
    }
    Some(Arc::new(Redact {
        fields: options.fields.map(|fields| fields.0),
        redaction: Redaction {
            sought,
            replacement,
            text: Vec::new(),
            replaced: Vec::new(),
        },
    }))
}

#[derive(Debug, Clone)]
struct Redact {
    fields: Option<Vec<Path>>,
    redaction: Redaction,
}

#[derive(Debug, Clone)]
enum Sought {
    Known(Finding),
    Pattern(Regex),
}

impl Sought {
    /// The first finding at or behind byte `from`.
    fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        match self {
            Self::Known(finding) => finding.find(text, from),
            Self::Pattern(regex) => regex.find_at(text, from).map(|found| found.range()),
        }
    }
}

#[derive(Clone)]
enum Replacement {
    Mask(String),
    Hash(Hmac<Sha256>),
}

impl std::fmt::Debug for Replacement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mask(mask) => f.debug_tuple("Mask").field(mask).finish(),
            Self::Hash(_) => f.write_str("Hash(***)"),
        }
    }
}

impl Replacement {
    /// Appends what stands for `found`.
    fn put(&self, found: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Mask(mask) => out.extend_from_slice(mask.as_bytes()),
            Self::Hash(keyed) => {
                let mut hash = keyed.clone();
                hash.update(found);
                const HEX: &[u8; 16] = b"0123456789abcdef";
                for byte in &hash.finalize().into_bytes()[..16] {
                    out.push(HEX[usize::from(byte >> 4)]);
                    out.push(HEX[usize::from(byte & 15)]);
                }
            }
        }
    }
}

impl TransformConfig for Redact {
    fn needs_fields(&self) -> bool {
        self.fields.is_some()
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Redact {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        let Self { fields, redaction } = self;
        batch.each(|batch, row| {
            if let (None, cell @ (Cell::Text(span) | Cell::Bytes(span))) =
                (&*fields, batch.cell(row, Side::Value))
            {
                if redaction.redact(batch.documents().bytes(span)) {
                    let text = &redaction.text;
                    let made = batch
                        .documents_mut()
                        .make(|out| out.extend_from_slice(text));
                    let text = matches!(cell, Cell::Text(_));
                    let cell = if text {
                        Cell::Text(made)
                    } else {
                        Cell::Bytes(made)
                    };
                    batch.set_cell(row, Side::Value, cell);
                }
                return Ok(());
            }
            let Some(root) = batch.root(row, Side::Value)? else {
                return Ok(());
            };
            let documents = batch.documents_mut();
            let changed = match fields {
                None => redaction.redact_tree(documents, root),
                Some(fields) => {
                    let mut changed = false;
                    for field in fields.iter() {
                        changed |= redaction.redact_field(documents, root, field)?;
                    }
                    changed
                }
            };
            if changed {
                batch.root_mut(row, Side::Value)?;
            }
            Ok(())
        })
    }
}

/// What is looked for and what takes its place.
#[derive(Debug, Clone)]
struct Redaction {
    sought: Vec<Sought>,
    replacement: Replacement,
    /// The text at hand, once something was found in it.
    text: Vec<u8>,
    /// Kept for its memory.
    replaced: Vec<u8>,
}

impl Redaction {
    /// Whether something was found in `text`; then `self.text` is what is left of it.
    fn redact(&mut self, text: &[u8]) -> bool {
        let mut changed = false;
        for sought in &self.sought {
            let text = if changed { &self.text[..] } else { text };
            let mut copied = 0;
            let mut from = 0;
            self.replaced.clear();
            while let Some(found) = sought.find(text, from) {
                if found.is_empty() {
                    // An expression that matches nothing in particular has nothing to hide here.
                    from = found.end + 1;
                    if from > text.len() {
                        break;
                    }
                    continue;
                }
                self.replaced.extend_from_slice(&text[copied..found.start]);
                self.replacement
                    .put(&text[found.clone()], &mut self.replaced);
                copied = found.end;
                from = found.end;
            }
            if copied > 0 {
                self.replaced.extend_from_slice(&text[copied..]);
                std::mem::swap(&mut self.text, &mut self.replaced);
                changed = true;
            }
        }
        changed
    }

    fn redact_field(
        &mut self,
        documents: &mut Documents,
        root: NodeId,
        field: &Path,
    ) -> Result<bool> {
        let Some(node) = documents.find(root, field) else {
            return Ok(false);
        };
        let found = self.redact_tree(documents, node);
        if found {
            // Where it stands already, but now what is above it is written anew.
            documents.put(root, field, node)?;
        }
        Ok(found)
    }

    /// Redacts a node and all below it; whether anything was found.
    fn redact_tree(&mut self, documents: &mut Documents, node: NodeId) -> bool {
        let found = match documents.kind(node) {
            Kind::String => match documents.string(node) {
                Some(text) => self.redact(text.as_bytes()),
                None => false,
            },
            Kind::Number => self.redact(documents.text(node).as_bytes()),
            Kind::Null | Kind::Boolean => false,
            Kind::Object | Kind::Array => {
                let mut found = false;
                documents.retain(node, |documents, _, child| {
                    found |= self.redact_tree(documents, child);
                    true
                });
                if found {
                    documents.touch(node);
                }
                return found;
            }
        };
        if found {
            // An expression over bytes may have cut a character.
            let text = String::from_utf8_lossy(&self.text);
            documents.set_scalar(node, |out| put_string(&text, out));
        }
        found
    }
}

#[cfg(test)]
mod tests;
