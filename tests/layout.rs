//! The repository's rules as tests: which crate may know which, what each folder must hold, and
//! what must not be in any file. `src/README.md` says why the arrows run as they do; a new arrow
//! is a decision, and is written down there first.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::Value;

/// Each crate of ours, by its folder, and those of ours it may depend on, tests included. A folder
/// that ends in `*` stands for all below it. What only tests may depend on: `towpath-rig`.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("src/record", &[]),
    ("connectors/sdk", &["towpath-record"]),
    ("src/formats", &["towpath-sdk", "towpath-record"]),
    ("src/expression", &["towpath-sdk", "towpath-record"]),
    ("src/log", &["towpath-record"]),
    ("src/pipeline", &["towpath-sdk", "towpath-expression"]),
    (
        "src/transforms",
        &[
            "towpath-sdk",
            "towpath-record",
            "towpath-expression",
            "towpath-formats",
        ],
    ),
    (
        "src/vrl",
        &["towpath-sdk", "towpath-record", "towpath-transforms"],
    ),
    (
        "connectors/*",
        &["towpath-sdk", "towpath-record", "towpath-rig"],
    ),
    ("tests/rig", &[]),
    ("plugins/host", &["towpath-sdk", "towpath-record"]),
    ("plugins/guest", &["towpath-record"]),
    (
        "src/runtime",
        &[
            "towpath-sdk",
            "towpath-record",
            "towpath-log",
            "towpath-pipeline",
            "towpath-formats",
        ],
    ),
];

/// Crates that do no I/O, and are not asynchronous, may not even depend on what would tempt them.
const NEVER: &[(&str, &[&str])] = &[
    ("src/record", &["tokio", "rustix", "serde", "tracing"]),
    (
        "connectors/sdk",
        &["tokio", "rustix", "serde_json", "flate2", "zstd", "axum"],
    ),
    (
        "src/log",
        &["tokio", "serde", "serde_json", "async-trait", "futures"],
    ),
    ("src/pipeline", &["tokio", "rustix", "axum"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A package of the workspace as cargo sees it.
struct Package {
    name: String,
    /// Relative to the root; empty for the root package.
    folder: String,
    /// Each dependency's name, and whether only tests have it.
    dependencies: Vec<(String, bool)>,
    publish: Value,
}

fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let package = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        let folder = manifest
            .parent()
            .expect("it has a folder")
            .strip_prefix(root())
            .unwrap();
        let dependency = |dependency: &Value| {
            let name = dependency["name"].as_str().expect("a name").to_owned();
            (name, dependency["kind"] == "dev")
        };
        Package {
            name: package["name"].as_str().expect("a name").to_owned(),
            folder: folder.display().to_string(),
            dependencies: each(&package["dependencies"]).map(dependency).collect(),
            publish: package["publish"].clone(),
        }
    };
    each(&metadata["packages"]).map(package).collect()
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().expect("a list").iter()
}

/// Fails with all of `problems` at once.
#[track_caller]
fn expect_none(problems: &[String], rule: &str) {
    assert!(problems.is_empty(), "{rule}\n  {}", problems.join("\n  "));
}

fn rule_for<'a, T: ?Sized>(table: &'a [(&str, &'a T)], folder: &str) -> Option<&'a T> {
    let exact = table.iter().find(|(pattern, _)| *pattern == folder);
    let below = || {
        table.iter().find(|(pattern, _)| {
            pattern
                .strip_suffix('*')
                .is_some_and(|parent| folder.starts_with(parent))
        })
    };
    exact.or_else(below).map(|(_, allowed)| *allowed)
}

#[test]
fn crates_know_only_whom_they_may() {
    let packages = packages();
    let ours: Vec<_> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    assert!(ours.len() > 8, "cargo metadata shows only {ours:?}");
    let mut problems = Vec::new();
    for package in packages.iter().filter(|package| !package.folder.is_empty()) {
        let Some(allowed) = rule_for(MAY_KNOW, &package.folder) else {
            problems.push(format!("{} is not in the table", package.folder));
            continue;
        };
        let never = rule_for(NEVER, &package.folder).unwrap_or_default();
        for (dependency, only_tests) in &package.dependencies {
            let dependency = dependency.as_str();
            // A crate's own features for its own tests.
            let itself = dependency == package.name;
            if ours.contains(&dependency) && !allowed.contains(&dependency) && !itself {
                problems.push(format!("{} -> {dependency}", package.name));
            }
            if (never.contains(&dependency) || dependency == "towpath-rig") && !only_tests {
                problems.push(format!(
                    "{} -> {dependency}, which it must never need",
                    package.name
                ));
            }
        }
    }
    expect_none(
        &problems,
        "arrows that the table in tests/layout.rs does not have; see src/README.md:",
    );
}

#[test]
fn a_crate_is_called_like_its_folder_and_is_not_published() {
    let mut problems = Vec::new();
    for package in packages() {
        let folder = package.folder.rsplit('/').next().expect("split gives one");
        if !package.folder.is_empty() && package.name.rsplit('-').next() != Some(folder) {
            problems.push(format!("{} in {}", package.name, package.folder));
        }
        if package.publish != Value::Array(Vec::new()) {
            problems.push(format!("{} lacks `publish.workspace = true`", package.name));
        }
    }
    expect_none(
        &problems,
        "the folder is the last part of the package's name:",
    );
}

#[test]
fn every_crate_has_a_readme() {
    let folders = ["", "src", "connectors", "pipelines", "plugins", "tests"].map(str::to_owned);
    let crates = packages().into_iter().map(|package| package.folder);
    let mut problems: Vec<_> = folders
        .into_iter()
        .chain(crates)
        .map(|folder| root().join(folder).join("README.md"))
        .filter(|readme| fs::metadata(readme).map_or(0, |found| found.len()) == 0)
        .map(|readme| readme.display().to_string())
        .collect();
    problems.dedup();
    expect_none(&problems, "missing or empty:");
}

/// Every file of the repository that is text, tracked or about to be.
fn files() -> BTreeMap<PathBuf, String> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .split_terminator('\0')
        .filter_map(|name| Some((name.into(), fs::read_to_string(root().join(name)).ok()?)))
        .collect()
}

/// The places where `pattern` stands in a file that `of_interest` wants, as `file:line: text`.
fn places(pattern: &str, of_interest: impl Fn(&Path) -> bool) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    let mut found = Vec::new();
    for (path, text) in files().into_iter().filter(|(path, _)| of_interest(path)) {
        for (index, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| pattern.is_match(line))
        {
            found.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
        }
    }
    found
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

#[test]
fn no_path_of_anybodys_machine() {
    let found = places(r"(^|[^\w.*-])/(root|work|home)/\w", |path| {
        path != Path::new("tests/layout.rs") && path != Path::new("Cargo.lock")
    });
    expect_none(&found, "absolute paths of one machine:");
}

#[test]
fn nothing_is_left_to_do() {
    let found = places(r"\b(todo!|unimplemented!|TODO|FIXME|XXX)", |path| {
        is_rust(path) && path != Path::new("tests/layout.rs")
    });
    expect_none(&found, "what is left to do belongs into an issue:");
}

#[test]
fn no_file_has_outgrown_its_noun() {
    let found: Vec<_> = files()
        .into_iter()
        .filter(|(path, _)| is_rust(path))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > 500)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    expect_none(&found, "which noun wants to leave?");
}

/// Option tables in the connectors' READMEs stand between `<!-- options: file source -->` and
/// `<!-- end of options -->`, and are what the option types say. `TOWPATH_UPDATE=1` writes them.
#[test]
fn option_tables_are_what_the_options_say() {
    let mut types = vec![("file", connector_file::connector_type())];
    types.push(("generate", connector_generate::connector_type()));
    types.push(("postgres", connector_postgres::connector_type()));
    types.push(("s3", connector_s3::connector_type()));
    types.extend(
        connector_console::connector_types()
            .into_iter()
            .map(|one| ("console", one)),
    );
    let update = std::env::var_os("TOWPATH_UPDATE").is_some();
    let mut problems = Vec::new();
    for (folder, connector) in types {
        let path = root().join("connectors").join(folder).join("README.md");
        let mut readme = fs::read_to_string(&path).unwrap_or_default();
        let sides = [
            (
                "source",
                connector.source.as_ref().map(|source| (source.spec)()),
            ),
            ("sink", connector.sink.as_ref().map(|sink| (sink.spec)())),
        ];
        for (side, spec) in sides {
            let Some(spec) = spec else { continue };
            let begin = format!("<!-- options: {} {side} -->\n", connector.name);
            let table = match spec.options.is_empty() {
                true => "It has no options of its own.".to_owned(),
                false => towpath_sdk::config::markdown_table(&spec),
            };
            let expected = format!("{begin}\n{}\n\n", table.trim());
            match section(&readme, &begin) {
                None => problems.push(format!("{}: no line {}", path.display(), begin.trim())),
                Some(found) if readme[found.clone()] == expected => {}
                Some(found) if update => readme.replace_range(found, &expected),
                Some(_) => problems.push(format!("{}: {} {side}", path.display(), connector.name)),
            }
        }
        if update {
            fs::write(&path, readme).unwrap();
        }
    }
    expect_none(
        &problems,
        "option tables that are not true (TOWPATH_UPDATE=1 writes them):",
    );
}

/// So do the tables of what is no single connector's: options of pipelines, topics, every source
/// and sink, and `towpath.yaml`, names in templates, forms of text.
#[test]
fn tables_of_the_manual_are_what_the_types_say() {
    let update = std::env::var_os("TOWPATH_UPDATE").is_some();
    let mut problems = Vec::new();
    for manual in towpath_pipeline::manual_tables() {
        let path = root().join(manual.file);
        let mut readme = fs::read_to_string(&path).unwrap_or_default();
        let begin = format!("<!-- {} -->\n", manual.name);
        let expected = format!("{begin}\n{}\n\n", manual.table.trim());
        match section(&readme, &begin) {
            None => problems.push(format!("{}: no line {}", manual.file, begin.trim())),
            Some(found) if readme[found.clone()] == expected => {}
            Some(found) if update => {
                readme.replace_range(found, &expected);
                fs::write(&path, readme).unwrap();
            }
            Some(_) => problems.push(format!("{}: {}", manual.file, manual.name)),
        }
    }
    expect_none(
        &problems,
        "tables that are not true (TOWPATH_UPDATE=1 writes them):",
    );
}

fn section(readme: &str, begin: &str) -> Option<std::ops::Range<usize>> {
    let start = readme.find(begin)?;
    let length = readme[start..].find("<!-- end of options -->")?;
    Some(start..start + length)
}
