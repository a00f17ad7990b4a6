//! References: `${env:NAME}`, `${env:NAME:-default}`, `${env:NAME:?why}`, `${file:path}`; `$${`
//! stands for `${`.
//!
//! They are resolved after parsing, inside any text that is a value. What they stood for is never
//! shown: a resolved node keeps what was written.

use std::env::VarError;
use std::path::Path;

use towpath_sdk::config::{Node, NodeValue, Problem, Problems, Reference, nearest};
use towpath_sdk::{keep_secret, printable};

use crate::Environment;

/// The largest file that `${file:}` reads.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Resolves every reference in a tree. A text whose reference leads nowhere is reported once;
/// nothing else is said about it.
pub(crate) struct Resolver<'a> {
    /// The folder of the YAML file.
    pub folder: &'a Path,
    pub environment: &'a dyn Environment,
}

impl Resolver<'_> {
    pub fn resolve(&self, node: &mut Node, problems: &mut Problems) {
        match &mut node.value {
            NodeValue::List(items) => items
                .iter_mut()
                .for_each(|item| self.resolve(item, problems)),
            NodeValue::Map(entries) => {
                entries
                    .iter_mut()
                    .for_each(|(_, value)| self.resolve(value, problems));
            }
            NodeValue::String(text) if text.contains("${") => {
                let written = text.clone();
                let resolved = self.text(&written, node, problems);
                node.text_lines.clear();
                match resolved {
                    Some(resolved) => {
                        if resolved.references > 0 {
                            let whole = resolved.references == 1 && is_whole(&written);
                            node.reference = Some(Reference { written, whole });
                        }
                        node.value = NodeValue::String(resolved.text);
                    }
                    None => {
                        node.value = NodeValue::Null;
                        problems.settle(node.span);
                    }
                }
            }
            _ => {}
        }
    }

    /// `written` with its references resolved; `node` says where it stands.
    fn text(&self, written: &str, node: &Node, problems: &mut Problems) -> Option<Resolved> {
        let mut resolved = Some(Resolved::default());
        let mut at = 0;
        while let Some(offset) = written[at..].find("${") {
            let dollar = at + offset;
            let escaped = written[at..dollar].ends_with('$');
            let before = &written[at..if escaped { dollar - 1 } else { dollar }];
            if let Some(resolved) = &mut resolved {
                resolved.text.push_str(before);
            }
            if escaped {
                if let Some(resolved) = &mut resolved {
                    resolved.text.push_str("${");
                }
                at = dollar + 2;
                continue;
            }
            let Some(length) = written[dollar..].find('}') else {
                let problem = Problem::new(
                    node.span_within(dollar, written.len()),
                    "this `${` is not closed",
                );
                problems.push(problem.help("for the text `${` itself write `$${`"));
                return None;
            };
            let end = dollar + length + 1;
            match self.value(&written[dollar + 2..end - 1]) {
                Ok(value) => {
                    if let Some(resolved) = &mut resolved {
                        resolved.text.push_str(&value);
                        resolved.references += 1;
                    }
                }
                Err(failure) => {
                    let mut problem = Problem::new(node.span_within(dollar, end), failure.message);
                    problem.help = failure.help;
                    problems.push(problem);
                    resolved = None;
                }
            }
            at = end;
        }
        let mut resolved = resolved?;
        resolved.text.push_str(&written[at..]);
        Some(resolved)
    }

    /// What the reference `inside` the braces stands for.
    fn value(&self, inside: &str) -> Result<String, Failure> {
        match inside.split_once(':') {
            Some(("env", rest)) => self.variable(rest),
            Some(("file", path)) => self.file(path),
            Some((kind, _)) => {
                let failure =
                    Failure::new(format!("unknown kind of reference `{}`", printable(kind)));
                Err(match nearest(kind, ["env", "file"]) {
                    Some(near) => failure.help(format!("did you mean `{near}`?")),
                    None => failure.help("there are ${env:NAME} and ${file:PATH}; for the text `${` itself write `$${`"),
                })
            }
            None => {
                let failure = Failure::new("a reference says what kind it is");
                let name = printable(inside);
                Err(failure.help(format!(
                    "did you mean `${{env:{name}}}`? For the text `${{` itself write `$${{`"
                )))
            }
        }
    }

    /// `NAME`, `NAME:-default` or `NAME:?why`; an empty variable counts as absent for these two.
    fn variable(&self, rest: &str) -> Result<String, Failure> {
        let (name, otherwise) = match rest.split_once(':') {
            Some((name, otherwise)) => (name, Some(otherwise)),
            None => (rest, None),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(
                Failure::new(format!("`{}` is no name of a variable", printable(name))).help(
                    "write ${env:NAME}, ${env:NAME:-default} or ${env:NAME:?why it is needed}",
                ),
            );
        }
        let value = match self.environment.variable(name) {
            Ok(value) => Some(value),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => {
                return Err(Failure::new(format!("the variable `{name}` is not UTF-8")));
            }
        };
        let absent = || Failure::new(format!("the variable `{name}` is not set"));
        match otherwise {
            None => value.ok_or_else(|| {
                absent().help(format!(
                    "set it, or give a default: ${{env:{name}:-default}}"
                ))
            }),
            Some(otherwise) => match (otherwise.split_at_checked(1), value) {
                (Some(("-" | "?", _)), Some(value)) if !value.is_empty() => Ok(value),
                (Some(("-", default)), _) => Ok(default.to_owned()),
                (Some(("?", why)), _) => Err(absent().help(printable(why))),
                _ => Err(
                    Failure::new("after the name of a variable comes `:-` or `:?`").help(format!(
                        "write ${{env:{name}:-default}} or ${{env:{name}:?why it is needed}}"
                    )),
                ),
            },
        }
    }

    /// The text of a file, without the line end at its end.
    fn file(&self, path: &str) -> Result<String, Failure> {
        if path.is_empty() {
            return Err(Failure::new("the path of the file is missing").help("write ${file:PATH}"));
        }
        let path = self.folder.join(path);
        let shown = printable(&path.display().to_string());
        let bytes = self
            .environment
            .file(&path, FILE_BYTES_MAX)
            .map_err(|error| {
                Failure::new(format!("cannot read `{shown}`: {error}"))
                    .help("the path is relative to this file")
            })?;
        let mut text = String::from_utf8(bytes)
            .map_err(|_| Failure::new(format!("`{shown}` is not UTF-8 text")))?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        keep_secret(&text);
        Ok(text)
    }
}

#[derive(Default)]
struct Resolved {
    text: String,
    references: usize,
}

/// Why a reference leads nowhere.
struct Failure {
    message: String,
    help: Option<String>,
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// Whether the only reference is all there is.
fn is_whole(written: &str) -> bool {
    written.starts_with("${") && written.find('}') == Some(written.len() - 1)
}
