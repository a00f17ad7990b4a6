//! The part of the README that the types say: `TOWPATH_UPDATE=1` writes it.

use std::path::Path;

use towpath_sdk::TransformType;
use towpath_sdk::config::markdown_table;

const BEGIN: &str = "<!-- transforms -->\n";
const END: &str = "<!-- end of transforms -->";

/// Holds the README at `path` to `types`, which are in order.
pub fn check(path: &Path, types: &[TransformType]) {
    let names: Vec<_> = types.iter().map(|kind| kind.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    let readme = std::fs::read_to_string(path).expect("a README");
    let start = readme.find(BEGIN).expect("the begin of the section") + BEGIN.len();
    let end = readme.find(END).expect("the end of the section");
    let sections: Vec<_> = types.iter().map(section).collect();
    let expected = format!("\n{}\n", sections.join("\n"));
    if std::env::var_os("TOWPATH_UPDATE").is_some() {
        let updated = format!("{}{expected}{}", &readme[..start], &readme[end..]);
        return std::fs::write(path, updated).expect("it can be written");
    }
    assert!(
        readme[start..end] == expected,
        "README.md is not true any more; TOWPATH_UPDATE=1 writes it"
    );
}

fn section(kind: &TransformType) -> String {
    let mut out = format!("### {}\n\n{}\n\n", kind.name, kind.summary);
    let spec = (kind.spec)();
    if !spec.doc.is_empty() {
        out.push_str(&format!("{}\n\n", spec.doc));
    }
    match spec.options.is_empty() {
        true => out.push_str("It has no options.\n"),
        false => out.push_str(&markdown_table(&spec)),
    }
    for example in kind.examples {
        let transform = match example.options {
            "" => kind.name.to_owned(),
            options => match options.strip_prefix("{ ") {
                Some(rest) => format!("{{ type: {}, {rest}", kind.name),
                None => {
                    format!("type: {}\n  {}", kind.name, options.replace('\n', "\n  "))
                }
            },
        };
        let output: Vec<_> = example
            .output
            .lines()
            .map(|line| format!("> {line}\n"))
            .collect();
        out.push_str(&format!(
            "\nExample: {}\n\n```yaml\n- {transform}\n```\n```text\n< {}\n{}```\n",
            example.title,
            example.input,
            output.concat()
        ));
    }
    out
}
