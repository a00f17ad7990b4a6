//! Named groups of a regular expression as the fields of an object.
//!
//! Matching takes time linear in the text. A text of ASCII characters only (nearly all logs) is
//! matched by a smaller automaton without Unicode, which gives the same answer for it; and a match
//! is first looked for at the beginning of the text, where the fastest way to captures is open:
//! what begins there is the leftmost match, so the answer is the same.

use regex_automata::meta::{Cache, Config, Regex};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};
use towpath_sdk::config::TextType;
use towpath_sdk::{Path, printable};

use crate::fields::FieldTree;
use crate::parse::{Fault, Parser, utf8, whole_or_nothing};

/// Bytes that one compiled expression may take.
const COMPILED_BYTES_MAX: usize = 16 << 20;

/// A parser of whatever a regular expression with named groups matches.
///
/// A group's name is a field, or a path to a nested one (`http.method`). A group that took no part
/// in the match is left out; of several with one name the first that took part counts.
#[derive(Debug, Clone)]
pub struct Pattern {
    unicode: Machine,
    /// `None` when the expression means nothing without Unicode.
    ascii: Option<Machine>,
    fields: FieldTree,
    slots: Vec<Option<NonMaxUsize>>,
}

impl Pattern {
    /// Compiles `expression`, in the syntax of the `regex` crate.
    ///
    /// # Errors
    /// Says in one line what is wrong with it.
    pub fn new(expression: &str) -> Result<Self, String> {
        Self::typed(expression, |name| match Path::parse(name) {
            Ok(path) => Ok((path, TextType::String)),
            Err(error) => Err(format!("group `{name}` is no field: {}", error.message)),
        })
    }

    /// [`Pattern::new`], with `field` to say what a group's name means.
    pub(crate) fn typed(
        expression: &str,
        mut field: impl FnMut(&str) -> Result<(Path, TextType), String>,
    ) -> Result<Self, String> {
        let unicode = Machine::new(expression, true)?;
        let mut fields = FieldTree::default();
        let names = unicode.regex.group_info().pattern_names(Default::default());
        for (group, name) in names.enumerate() {
            if let Some(name) = name {
                let (path, value) = field(name)?;
                fields.add(&path, group, value)?;
            }
        }
        if fields.is_empty() {
            return Err("it has no named group, such as (?<status>\\d+)".to_owned());
        }
        let slots = vec![None; unicode.regex.group_info().slot_len()];
        Ok(Self {
            ascii: Machine::new(expression, false).ok(),
            unicode,
            fields,
            slots,
        })
    }
}

impl Parser for Pattern {
    fn name(&self) -> &'static str {
        "by the pattern"
    }

    fn parse(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let text = utf8(text)?;
        let machine = match &mut self.ascii {
            Some(ascii) if text.is_ascii() => ascii,
            _ => &mut self.unicode,
        };
        if !machine.find(text, &mut self.slots) {
            return Err(Fault {
                at: 0,
                what: "the pattern does not match",
            });
        }
        let slots = &self.slots;
        let capture = |group: usize| {
            let start = slots.get(2 * group)?.as_ref()?.get();
            let end = slots.get(2 * group + 1)?.as_ref()?.get();
            Some((start, text.get(start..end)?))
        };
        whole_or_nothing(out, |out| self.fields.put(&capture, out))
    }
}

/// A compiled expression and its scratch memory.
#[derive(Debug, Clone)]
struct Machine {
    regex: Regex,
    cache: Cache,
}

impl Machine {
    fn new(expression: &str, unicode: bool) -> Result<Self, String> {
        let config = Config::new()
            .utf8_empty(unicode)
            .nfa_size_limit(Some(COMPILED_BYTES_MAX))
            .onepass_size_limit(Some(COMPILED_BYTES_MAX));
        let syntax = syntax::Config::new().unicode(unicode).utf8(unicode);
        let built = Regex::builder()
            .configure(config)
            .syntax(syntax)
            .build(expression);
        let regex = built.map_err(|error| match error.syntax_error() {
            // The last line of several says what is wrong; those above draw the expression.
            Some(syntax) => {
                let text = syntax.to_string();
                let last = text.lines().last().unwrap_or_default();
                printable(last.trim().trim_start_matches("error: "))
            }
            None => format!(
                "compiled, it has more than {} MiB",
                COMPILED_BYTES_MAX >> 20
            ),
        })?;
        let cache = regex.create_cache();
        Ok(Self { regex, cache })
    }

    fn find(&mut self, text: &str, slots: &mut [Option<NonMaxUsize>]) -> bool {
        let start = Input::new(text).anchored(Anchored::Yes);
        let mut find = |input| {
            self.regex
                .search_slots_with(&mut self.cache, &input, slots)
                .is_some()
        };
        find(start) || find(Input::new(text))
    }
}
