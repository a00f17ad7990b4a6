//! Problems: what is wrong with a configuration, and where.

use std::collections::HashSet;

use super::Span;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; [`Span::NONE`] when it has no place.
    pub span: Span,
    /// What is wrong and what was expected; a sentence without capital and full stop.
    pub message: String,
    /// What to do, such as "did you mean `include`?".
    pub help: Option<String>,
    /// Another place that belongs to it, and what is there.
    pub related: Option<(Span, String)>,
    /// Whether something is missing here, as against wrong: when the text could not be read to its
    /// end, this may be a consequence of that.
    pub missing: bool,
    /// Whether the line is not shown, because a secret stands there.
    pub secret: bool,
}

impl Problem {
    /// Something wrong at `span`.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: None,
            related: None,
            missing: false,
            secret: false,
        }
    }

    /// Something that has to be there and is not; `span` is where it should be.
    pub fn missing(span: Span, message: impl Into<String>) -> Self {
        Self {
            missing: true,
            ..Self::new(span, message)
        }
    }

    /// Something that a later version brings. `what` is a noun phrase such as "the format `csv`".
    pub fn not_yet(span: Span, what: impl std::fmt::Display) -> Self {
        Self::new(span, format!("{what} is not supported yet"))
            .help("it comes with a later version of towpath")
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at another place, too, and says what is there.
    #[must_use]
    pub fn related(mut self, span: Span, what: impl Into<String>) -> Self {
        self.related = Some((span, what.into()));
        self
    }

    /// Adds the nearest of `known` to `word` as help, or all of them when none is near.
    #[must_use]
    pub fn suggest<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(word, known.iter().copied()) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None if known.is_empty() => self,
            None => self.help(format!("possible: {}", known.join(", "))),
        }
    }
}

/// All problems found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    found: Vec<Problem>,
    /// Values about which enough was said.
    settled: HashSet<Span>,
}

impl Problems {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a problem, unless its value is settled.
    pub fn push(&mut self, problem: Problem) {
        if !self.settled.contains(&problem.span) {
            self.found.push(problem);
        }
    }

    /// From now on problems of the value at `span` are consequences of what was reported already,
    /// and are left out.
    pub fn settle(&mut self, span: Span) {
        self.settled.insert(span);
    }

    /// Adds a problem that needs no help.
    pub fn add(&mut self, span: Span, message: impl Into<String>) {
        self.push(Problem::new(span, message));
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many were found.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// In the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.found.iter()
    }

    /// Forgets those that `keep` does not want.
    pub fn retain(&mut self, keep: impl FnMut(&Problem) -> bool) {
        self.found.retain(keep);
    }

    /// Adds all of `other`.
    pub fn append(&mut self, other: Problems) {
        self.found.extend(other.found);
        self.settled.extend(other.settled);
    }

    /// In the order in which they were found.
    pub fn into_vec(self) -> Vec<Problem> {
        self.found
    }
}

/// The one of `known` that `word` most likely means: at most a third of its letters differ.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 100;
    // Thousands of names are no typing help, and comparing them takes time.
    const CANDIDATES_MAX: usize = 1000;
    if word.len() > LONGEST {
        return None;
    }
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let folded = |text: &str| text.to_lowercase().replace('-', "_");
    let word = folded(word);
    let distances = known.into_iter().take(CANDIDATES_MAX).map(|candidate| {
        let candidate_folded = folded(candidate);
        // A word of several may stand for all: `grok` for `parse_grok`.
        let distance = match candidate_folded.split('_').any(|part| part == word) {
            true => allowed,
            false => distance(&word, &candidate_folded),
        };
        (distance, candidate)
    });
    let near = distances.filter(|(distance, _)| *distance <= allowed);
    near.min().map(|(_, candidate)| candidate)
}

/// How many letters must be inserted, deleted, replaced or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}
