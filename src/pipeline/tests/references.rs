use super::{RIGHT, check, fake, load};
use crate::reference::Resolver;
use std::path::Path;
use towpath_sdk::config::{Node, Problems, Span};

/// `expected` is the text that `written` stands for, or the problem.
fn resolves(written: &str, expected: &str) {
    let mut node = Node::new(Span::new(0, 0, 0), written);
    let mut problems = Problems::new();
    let environment = fake();
    Resolver {
        folder: Path::new("dir"),
        environment: &environment,
    }
    .resolve(&mut node, &mut problems);
    let shown = match problems.iter().next() {
        Some(problem) => problem.message.clone(),
        None => node.text().unwrap().to_owned(),
    };
    assert_eq!(shown, expected, "{written}");
}

#[test]
fn references_stand_for_text() {
    resolves("plain $ {", "plain $ {");
    resolves("${env:SET}", "value");
    resolves("a ${env:SET} b ${env:SET}", "a value b value");
    resolves("${env:EMPTY}", "");
    resolves("${env:EMPTY:-default}", "default");
    resolves("${env:UNSET:-a:b}", "a:b");
    resolves("${env:SET:?why}", "value");
    resolves("${file:secret.txt}", "sesame");
    resolves("$${env:SET} $${", "${env:SET} ${");
    resolves("$$ ${env:SET}", "$$ value");
}

#[test]
fn references_to_nothing() {
    resolves("${env:UNSET}", "the variable `UNSET` is not set");
    resolves("${env:EMPTY:?why}", "the variable `EMPTY` is not set");
    resolves(
        "${env:SET:+x}",
        "after the name of a variable comes `:-` or `:?`",
    );
    resolves("${env:A B}", "`A B` is no name of a variable");
    resolves("${SET}", "a reference says what kind it is");
    resolves("${evn:SET}", "unknown kind of reference `evn`");
    resolves("${file:}", "the path of the file is missing");
    resolves("${file:no}", "cannot read `dir/no`: entity not found");
    resolves("${env:SET", "this `${` is not closed");
}

#[test]
fn a_reference_takes_the_type_of_its_option() {
    let text = RIGHT.replace("topic: lines", "topic: lines\n    tasks: ${env:SEVEN}");
    let loaded = load(&[&text]).unwrap();
    assert_eq!(loaded.pipelines[0].sources[0].connector.tasks.get(), 7);
    let text = RIGHT.replace("topic: lines", "topic: lines\n    tasks: 1${env:SEVEN}");
    check(
        &[&text],
        &["a.yaml:6:12: expected a whole number, found what `1${env:SEVEN}` stands for"],
    );
}

#[test]
fn what_it_stands_for_is_never_shown() {
    let text = "
sources:
  in: { type: '${env:HIDDEN}', topic: '${env:HIDDEN}', include: x, tasks: '${env:HIDDEN}' }
sinks:
  ou:
    type: file
    path: '${env:HIDDEN}'
    topics: '/${env:HIDDEN}/'
    fields: '${env:HIDDEN}'
    group: '${env:HIDDEN}'
    start: '${env:HIDDEN}'
";
    let shown = load(&[text]).unwrap_err();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(super::short(&shown).len(), 7, "{shown}");
    let right = RIGHT.replace(
        "topic: lines",
        "topic: lines\n    password: ${file:secret.txt}",
    );
    let loaded = load(&[&right]).unwrap();
    assert!(!format!("{loaded:?}").contains("sesame"));
    let literal = RIGHT.replace("topic: lines", "topic: lines\n    password: 12345");
    let shown = load(&[&literal]).unwrap_err();
    assert!(
        shown.contains("a.yaml:6:15") && !shown.contains("12345"),
        "{shown}"
    );
}
