//! No input makes the loader panic or take long.

use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use towpath_sdk::config::Problems;

use super::{RIGHT, fake, registry};
use crate::diagnostic::Sources;
use crate::reference::Resolver;
use crate::{Diagnostics, document, yaml};

/// Goes the whole way, and shows what was found.
fn read(text: &str) {
    let started = Instant::now();
    let mut sources = Sources::default();
    let mut problems = Problems::new();
    let source = sources.add("a.yaml", text);
    if let Some(mut root) = yaml::read(source, text, &mut problems).root {
        let environment = fake();
        Resolver {
            folder: Path::new(""),
            environment: &environment,
        }
        .resolve(&mut root, &mut problems);
        let draft = document::read(
            root,
            Path::new("a.yaml"),
            &registry(),
            &sources,
            &mut problems,
        );
        crate::print(&draft.pipeline, &registry());
    }
    let diagnostics = Diagnostics::new(problems, sources);
    diagnostics.render(true);
    diagnostics.to_json();
    assert!(started.elapsed() < Duration::from_secs(5), "{text}");
}

/// What means something in YAML or to us.
const TOKENS: &[&str] = &[
    ":",
    "- ",
    "\n",
    "  ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "? ",
    "'",
    "\"",
    "|\n",
    ">\n",
    "#",
    "---\n",
    "...\n",
    "${env:SET}",
    "${",
    "$${",
    "{value.a}",
    "`",
    "\u{feff}",
    "\t",
    "é",
    "\0",
    "type: file",
    "sources:",
    "topic: ",
    "%YAML 1.2\n",
    "\r\n",
    "\u{2028}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn any_tokens(tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..60)) {
        read(&tokens.concat());
    }

    #[test]
    fn changed_pipelines(changes in prop::collection::vec((any::<prop::sample::Index>(), 0..6usize, prop::sample::select(TOKENS)), 1..6)) {
        let mut text = RIGHT.to_owned();
        for (at, removed, token) in changes {
            let start = text.floor_char_boundary(at.index(text.len().max(1)).min(text.len()));
            let end = text.floor_char_boundary((start + removed).min(text.len())).max(start);
            text.replace_range(start..end, token);
        }
        read(&text);
    }
}

#[test]
fn large_inputs() {
    read(&"a: b\n".repeat(200_000));
    read(
        &(0..19_000)
            .map(|n| format!("k{n}: v\n"))
            .collect::<String>(),
    );
    read(&format!("a: {}", "x".repeat(1_000_000)));
    read(&format!("a: [{}]", "b, ".repeat(300_000)));
    read(&format!("sources: {{ {} }}", "a: 1, ".repeat(9_000)));
    read(&format!(
        "sources:\n{}",
        (0..9_000)
            .map(|n| format!("  s{n}: 1\n"))
            .collect::<String>()
    ));
    read(&"&a ".repeat(300_000));
    read(&"'".repeat(1_000_000));
}
