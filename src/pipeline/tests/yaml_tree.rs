use towpath_sdk::config::{Node, NodeValue, Problems};

/// The tree in one line, each value with the text it is said to stand at.
fn show(node: &Node, text: &str, out: &mut String) {
    match &node.value {
        NodeValue::Map(entries) => {
            out.push('{');
            for (key, value) in entries {
                out.push_str(&format!("{}:", key.name));
                show(value, text, out);
                out.push(' ');
            }
            out.push('}');
        }
        NodeValue::List(items) => {
            out.push('[');
            for item in items {
                show(item, text, out);
                out.push(' ');
            }
            out.push(']');
        }
        NodeValue::Null => out.push('~'),
        NodeValue::Bool(value) => out.push_str(&value.to_string()),
        NodeValue::Number(number) => out.push_str(&format!("#{number}")),
        NodeValue::String(value) => out.push_str(&format!("{value:?}")),
    }
    let (start, end) = (node.span.start as usize, node.span.end as usize);
    out.push_str(&format!("<{}>", &text[start..end]));
}

fn check(text: &str, tree: &str, problems_expected: &[&str]) {
    let mut problems = Problems::new();
    let mut shown = String::new();
    if let Some(root) = crate::yaml::read(0, text, &mut problems).root {
        show(&root, text, &mut shown);
    }
    let problems: Vec<&str> = problems.iter().map(|problem| &*problem.message).collect();
    assert_eq!((&*shown, &*problems), (tree, problems_expected), "{text}");
}

#[test]
fn values_and_their_places() {
    check(
        "a: 1\nb: ['x', \"y\\n\"]\n",
        "{a:#1<1> b:[\"x\"<'x'> \"y\\n\"<\"y\\n\"> ]<['x', \"y\\n\"]> }<a>",
        &[],
    );
    check("a:\n  b: no\n", "{a:{b:\"no\"<no> }<a> }<a>", &[]);
    check(
        "a:\n- b: 1\n- é\n",
        "{a:[{b:#1<1> }<b> \"é\"<é> ]<a> }<a>",
        &[],
    );
    check("ä: ü # ö\nb: ß", "{ä:\"ü\"<ü> b:\"ß\"<ß> }<ä>", &[]);
    check("a: !!str 7", "{a:\"7\"<7> }<a>", &[]);
    check("7: true", "{7:true<true> }<7>", &[]);
    check("\u{feff}a: b", "{a:\"b\"<b> }<a>", &[]);
}

#[test]
fn aliases_and_merges() {
    check("a: &x 1\nb: *x", "{a:#1<1> b:#1<1> }<a>", &[]);
    check(
        "a: &x {p: 1, q: 2}\nb: {q: 3, <<: *x}",
        "{a:{p:#1<1> q:#2<2> }<{p: 1, q: 2}> b:{q:#3<3> p:#1<1> }<{q: 3, <<: *x}> }<a>",
        &[],
    );
    check(
        "b: {<<: [{p: 1}, {p: 2, q: 2}]}",
        "{b:{p:#1<1> q:#2<2> }<{<<: [{p: 1}, {p: 2, q: 2}]}> }<b>",
        &[],
    );
    check("b: {'<<': 1}", "{b:{<<:#1<1> }<{'<<': 1}> }<b>", &[]);
    check(
        "b: {<<: 1}",
        "{b:{}<{<<: 1}> }<b>",
        &["`<<` takes a map or a list of maps, found the number 1"],
    );
    check(
        "a: *none\nb: 1",
        "{a:~<*none> b:#1<1> }<a>",
        &["`*none` refers to nothing"],
    );
    check(
        "a: &x [*x]",
        "{a:[~<*x> ]<[*x]> }<a>",
        &["this alias stands within what it refers to"],
    );
}

#[test]
fn what_is_wrong_does_not_end_it() {
    check(
        "a: 1\na: 2\nb: 3",
        "{a:#1<1> b:#3<3> }<a>",
        &["`a` stands here twice"],
    );
    check(
        "? [x]\n: 1\nb: 3",
        "{b:#3<3> }<b>",
        &["a key is a name, found a list"],
    );
    check(
        "a: !mine 7\nb: 3",
        "{a:\"7\"<7> b:#3<3> }<a>",
        &["the tag `!mine` means nothing here"],
    );
}

#[test]
fn bombs_are_refused() {
    let mut problems = Problems::new();
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let alias = format!("*a{}", level - 1);
        bomb.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            vec![alias; 10].join(", ")
        ));
    }
    crate::yaml::read(0, &bomb, &mut problems);
    assert_eq!(
        problems.iter().next().map(|p| &*p.message),
        Some("more than 20000 values")
    );

    let long = format!(
        "a: &a {}\nb: [{}]",
        "x".repeat(1 << 19),
        vec!["*a"; 1000].join(", ")
    );
    let mut problems = Problems::new();
    crate::yaml::read(0, &long, &mut problems);
    assert_eq!(
        problems.iter().next().map(|p| &*p.message),
        Some("with aliases, more than 4194304 bytes of text")
    );

    for open in ["[", "{a: ", "- ", "? "] {
        let mut problems = Problems::new();
        crate::yaml::read(0, &open.repeat(100_000), &mut problems);
        assert!(!problems.is_empty());
    }
}
