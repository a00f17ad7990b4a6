//! Declaring options: [`options!`](crate::options) for maps, [`choice!`](crate::choice) for words.

use super::{Kind, Node, NodeValue, OptionSpec, OptionsSpec, Problem, Problems, Span, Word};

/// A type that an option can have.
pub trait OptionType: Sized {
    /// What may be written.
    fn kind() -> Kind;

    /// Reads `node`. Every problem is reported; `None` when there was one.
    fn parse(node: &Node, problems: &mut Problems) -> Option<Self>;

    /// The value when the option is absent and has no default; `None` when it must be given.
    fn absent() -> Option<Self> {
        None
    }
}

/// Reads the entries of a map; what [`options!`](crate::options) expands to.
pub struct Reader<'a> {
    node: &'a Node,
    spec: OptionsSpec,
    /// Unknown entries that are read as the option they were meant to be, so that this is not said
    /// to be missing, too.
    slips: Vec<(&'static str, &'a Node)>,
}

impl<'a> Reader<'a> {
    /// `None`, and a problem, when `node` is no map. Unknown entries are reported here.
    pub fn new(node: &'a Node, spec: OptionsSpec, problems: &mut Problems) -> Option<Self> {
        let NodeValue::Map(entries) = &node.value else {
            let names = spec.names().collect::<Vec<_>>().join(", ");
            let problem =
                Problem::new(node.span, format!("expected a map, found {}", node.found()));
            problems.push(problem.help(match node.value {
                NodeValue::Null => format!("write {{}} for none of its options: {names}"),
                _ => format!("its options are: {names}"),
            }));
            return None;
        };
        let mut slips = Vec::new();
        for (key, value) in entries {
            if spec.get(&key.name).is_none() {
                let message = format!("unknown option `{}`", crate::printable(&key.name));
                problems.push(Problem::new(key.span, message).suggest(&key.name, spec.names()));
                slips.extend(spec.meant(&key.name, node).map(|meant| (meant, value)));
            }
        }
        Some(Self { node, spec, slips })
    }

    /// The value of option `name`, which the spec has.
    pub fn take<T: OptionType>(&self, name: &str, problems: &mut Problems) -> Option<T> {
        let name = plain(name);
        let slip = || self.slips.iter().find(|(meant, _)| *meant == name);
        if let Some(node) = self
            .node
            .get(name)
            .or_else(|| slip().map(|(_, node)| *node))
        {
            return T::parse(node, problems);
        }
        let option = self.spec.get(name)?;
        if let Some(default) = &option.default {
            return T::parse(default, problems);
        }
        let absent = T::absent();
        if absent.is_none() {
            let message = format!("missing option `{name}` ({})", option.kind);
            let problem = Problem::missing(self.node.span, message);
            problems.push(
                match option
                    .doc
                    .split_once('\n')
                    .map_or(&*option.doc, |(line, _)| line)
                {
                    "" => problem,
                    doc => problem.help(format!("`{name}`: {doc}")),
                },
            );
        }
        absent
    }
}

impl OptionSpec {
    /// What [`options!`](crate::options) expands to.
    pub fn of<T: OptionType>(name: &'static str, doc: &[&str], default: Option<NodeValue>) -> Self {
        Self {
            name: plain(name),
            doc: doc_text(doc),
            kind: T::kind(),
            required: default.is_none() && T::absent().is_none(),
            default: default.map(|value| Node::new(Span::NONE, value)),
        }
    }
}

impl OptionsSpec {
    /// What [`options!`](crate::options) expands to.
    pub fn of(doc: &[&str], options: Vec<OptionSpec>) -> Self {
        Self {
            doc: doc_text(doc),
            options,
        }
    }
}

impl Word {
    /// What [`choice!`](crate::choice) expands to.
    pub fn of(name: &'static str, doc: &[&str]) -> Self {
        Self {
            name,
            doc: doc_text(doc),
        }
    }
}

/// Field `r#type` is option `type`.
fn plain(field: &str) -> &str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// Doc comment lines without the space each begins with.
fn doc_text(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n").trim().to_owned()
}

/// The word of `words` that `node` is; what [`choice!`](crate::choice) expands to.
pub fn parse_choice<'a>(
    node: &Node,
    words: &[&'a str],
    problems: &mut Problems,
) -> Option<&'a str> {
    // YAML's null is written as the word.
    let null = (node.value == NodeValue::from(())).then_some("null");
    if let Some(text) = node.text().or(null)
        && let Some(word) = words.iter().find(|word| **word == text)
    {
        return Some(word);
    }
    let listed = words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ");
    let mut problem = Problem::new(
        node.span,
        format!("expected one of {listed}, found {}", node.found()),
    );
    if let Some(near) = node
        .written()
        .and_then(|word| super::nearest(&word, words.iter().copied()))
    {
        problem = problem.help(format!("did you mean `{near}`?"));
    }
    problems.push(problem);
    None
}

/// Declares structs of options: each field is an option of the type's [`OptionType`], and is
/// required unless it has a default (`= "1MiB"`, `= 4`, `= true`, `= []`, `= {}`, read like YAML)
/// or is an `Option`. Doc comments become descriptions. A field named like a keyword is written
/// `r#type`.
///
/// Gives the struct (whose `Debug` shows no values: they may be secret), `spec()` and `parse()`.
#[macro_export]
macro_rules! options {
    ($(
        $(#[doc = $doc:literal])*
        $visibility:vis struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])*
                $field_visibility:vis $field:ident : $type:ty $(= $default:expr)?
            ),* $(,)?
        }
    )+) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq)]
        $visibility struct $name {
            $( $(#[doc = $field_doc])* $field_visibility $field: $type, )*
        }

        impl $name {
            /// The options, with their types, defaults and descriptions.
            $visibility fn spec() -> $crate::config::OptionsSpec {
                $crate::config::OptionsSpec::of(&[$($doc),*], vec![$(
                    $crate::config::OptionSpec::of::<$type>(
                        stringify!($field),
                        &[$($field_doc),*],
                        None$(.or(Some($default.into())))?,
                    )
                ),*])
            }

            /// Reads a map. Every problem is reported; `None` when there was one.
            $visibility fn parse(
                node: &$crate::config::Node,
                problems: &mut $crate::config::Problems,
            ) -> Option<Self> {
                let reader = $crate::config::Reader::new(node, Self::spec(), problems)?;
                $( let $field = reader.take::<$type>(stringify!($field), problems); )*
                Some(Self { $( $field: $field? ),* })
            }
        }

        impl $crate::config::OptionType for $name {
            fn kind() -> $crate::config::Kind {
                $crate::config::Kind::Options(Self::spec())
            }

            fn parse(
                node: &$crate::config::Node,
                problems: &mut $crate::config::Problems,
            ) -> Option<Self> {
                Self::parse(node, problems)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

/// Declares an option that is one of some words: `Variant = "word"`, or `Variant = "word" | "other"`
/// where another is understood, too.
#[macro_export]
macro_rules! choice {
    ($(
        $(#[doc = $doc:literal])*
        $visibility:vis enum $name:ident {
            $(
                $(#[doc = $variant_doc:literal])*
                $variant:ident = $word:literal $(| $other:literal)*
            ),+ $(,)?
        }
    )+) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility enum $name {
            $( $(#[doc = $variant_doc])* $variant, )+
        }

        #[allow(dead_code, reason = "not every choice needs every method")]
        impl $name {
            /// The words, in the order declared.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word that is written for it.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }

            /// The value that is written `word`.
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $( $word $(| $other)* => Some(Self::$variant), )+
                    _ => None,
                }
            }
        }

        impl $crate::config::OptionType for $name {
            fn kind() -> $crate::config::Kind {
                $crate::config::Kind::Word(vec![$(
                    $crate::config::Word::of($word, &[$($variant_doc),*])
                ),+])
            }

            fn parse(
                node: &$crate::config::Node,
                problems: &mut $crate::config::Problems,
            ) -> Option<Self> {
                if let Some(value) = node.text().and_then(Self::from_word) {
                    return Some(value);
                }
                let word = $crate::config::parse_choice(node, Self::WORDS, problems)?;
                Self::from_word(word)
            }
        }
    )+};
}
