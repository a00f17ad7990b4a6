//! `towpath test`: plays the cases of pipelines through, and shows where something else came of
//! them than they expect. Touches no data directory and nothing outside.

mod align;
mod compare;
mod json;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use towpath_log::{Durability, Log, LogConfig};
use towpath_pipeline::{Case, Pipeline};
use towpath_runtime::rehearsal::Rehearsal;
use towpath_sdk::printable;

use super::data::DataArgs;
use super::failure::Failure;
use super::output::{Output, colour_of_data, note, stdout};
use super::pipelines::read_with_cases;
use compare::{Difference, Line, Mark, compare};

/// Lines that are as expected are shown as far as so many from one that is not.
const CONTEXT_LINES: usize = 3;

/// Play the cases that pipelines have in `tests:`, or beside them in FILE.test.yaml; touches nothing
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Pipeline files, or folders of them
    #[arg(required = true, value_name = "PIPELINE|DIR")]
    pipelines: Vec<PathBuf>,
    /// The worker's settings [default: ./towpath.yaml if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A case that was played.
#[derive(Debug)]
struct Played<'a> {
    case: &'a Case,
    /// What could not be played on, and why.
    broken: Option<String>,
    differences: Vec<Difference>,
}

/// What `--json` shows when all went well.
#[derive(Debug, Serialize)]
struct Passed<'a> {
    passed: Vec<PassedCase<'a>>,
}

#[derive(Debug, Serialize)]
struct PassedCase<'a> {
    name: &'a str,
    file: &'a Path,
    line: usize,
}

pub fn test(args: &TestArgs, output: Output) -> Result<(), Failure> {
    let data = DataArgs {
        data_dir: None,
        config: args.config.clone(),
    };
    let worker = data.settings()?.worker;
    let loaded = read_with_cases(&args.pipelines, &worker)?;
    for pipeline in loaded.pipelines.iter().filter(|one| one.cases.is_empty()) {
        note(&format!("{} has no cases", pipeline.file.display()));
    }
    if loaded
        .pipelines
        .iter()
        .all(|pipeline| pipeline.cases.is_empty())
    {
        return Err(Failure::input(
            "there is no case to play: write some under `tests:`, or into FILE.test.yaml",
        ));
    }
    let scratch = tempfile::tempdir().map_err(|error| unusable(&error))?;
    let log = scratch_log(scratch.path())?;
    let rehearsal = Rehearsal::new(log, &loaded, &worker)?;
    let mut played = Vec::new();
    for pipeline in &loaded.pipelines {
        let cases = pipeline.cases.iter();
        played.extend(cases.map(|case| Played::of(case, pipeline, &rehearsal)));
    }
    report(&played, output)
}

/// A log for the topics; no record comes into it.
fn scratch_log(dir: &Path) -> Result<Log, Failure> {
    let config = LogConfig {
        durability: Durability::Os,
        ..LogConfig::default()
    };
    let (log, _) = Log::open_disk(dir, config).map_err(|error| unusable(&error))?;
    Ok(log)
}

fn unusable(error: &dyn std::fmt::Display) -> Failure {
    Failure::environment(format!(
        "cannot work in the folder for temporary files: {error}"
    ))
}

fn report(played: &[Played<'_>], output: Output) -> Result<(), Failure> {
    let failed = played.iter().filter(|one| !one.passed());
    let (failed, cases) = (failed.count(), played.len());
    let summary = format!("{} passed, {failed} failed", cases - failed);
    if !output.json {
        let colour = colour_of_data();
        let shown: String = played.iter().map(|one| one.render(colour)).collect();
        stdout(shown.as_bytes())?;
    }
    if failed > 0 {
        let mut failure = Failure::failed(summary);
        if output.json {
            let problems = played.iter().filter(|one| !one.passed());
            failure.body.problems = problems.map(Played::problem).collect();
        }
        return Err(failure);
    }
    let passed = Passed {
        passed: played.iter().map(|one| PassedCase::of(one.case)).collect(),
    };
    output.data(&passed, |_| format!("{summary}\n"))
}

impl<'a> PassedCase<'a> {
    fn of(case: &'a Case) -> Self {
        Self {
            name: &case.name,
            file: &case.file,
            line: case.line,
        }
    }
}

impl<'a> Played<'a> {
    fn of(case: &'a Case, pipeline: &Pipeline, rehearsal: &Rehearsal<'_>) -> Self {
        match rehearsal.play(pipeline, case) {
            Ok(outcome) => Self {
                case,
                broken: None,
                differences: compare(case, &outcome),
            },
            Err(error) => Self {
                case,
                broken: Some(error.to_string()),
                differences: Vec::new(),
            },
        }
    }

    fn passed(&self) -> bool {
        self.broken.is_none() && self.differences.is_empty()
    }

    fn render(&self, colour: bool) -> String {
        let Case {
            name, file, line, ..
        } = self.case;
        let painted = |text: String, code: &str| match colour {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text,
        };
        let word = match self.passed() {
            true => painted("ok    ".to_owned(), "32"),
            false => painted("FAILED".to_owned(), "1;31"),
        };
        let mut out = format!("{word} {}:{line}: {}\n", file.display(), printable(name));
        if let Some(broken) = &self.broken {
            out.push_str(&format!("  {broken}\n"));
        }
        for Difference { place, lines } in &self.differences {
            out.push_str(&format!("  {place} (- expected, + actual)\n"));
            for shown in shortened(lines) {
                let text = match shown {
                    Shown::Line(line) => match line.mark {
                        Mark::Same => line_text(line),
                        Mark::Expected => painted(line_text(line), "31"),
                        Mark::Actual => painted(line_text(line), "32"),
                    },
                    Shown::Omitted(lines) => format!("  ... {lines} lines as expected"),
                };
                out.push_str(&format!("    {text}\n"));
            }
        }
        out
    }

    /// As other commands show what is wrong in a file.
    fn problem(&self) -> Value {
        let place = |difference: &Difference| {
            let lines: Vec<String> = difference.lines.iter().map(line_text).collect();
            json!({ "place": difference.place, "lines": lines })
        };
        let differences: Vec<Value> = self.differences.iter().map(place).collect();
        let message = match &self.broken {
            Some(broken) => broken.clone(),
            None => "something else came than was expected".to_owned(),
        };
        json!({
            "case": self.case.name,
            "file": self.case.file,
            "line": self.case.line,
            "message": message,
            "differences": differences,
        })
    }
}

/// What is shown of a difference.
enum Shown<'a> {
    Line(&'a Line),
    Omitted(usize),
}

/// `lines` without those that are as expected and far from one that is not.
fn shortened(lines: &[Line]) -> Vec<Shown<'_>> {
    let mut shown = Vec::new();
    let mut seen = 0;
    for run in lines.chunk_by(|one, next| is_same(one) == is_same(next)) {
        let before = if seen == 0 { 0 } else { CONTEXT_LINES };
        seen += run.len();
        let after = if seen == lines.len() {
            0
        } else {
            CONTEXT_LINES
        };
        let (first, rest) = run.split_at(before.min(run.len()));
        let (omitted, last) = rest.split_at(rest.len().saturating_sub(after));
        if !run.iter().all(is_same) || omitted.len() < 2 {
            shown.extend(run.iter().map(Shown::Line));
            continue;
        }
        shown.extend(first.iter().map(Shown::Line));
        shown.push(Shown::Omitted(omitted.len()));
        shown.extend(last.iter().map(Shown::Line));
    }
    shown
}

fn is_same(line: &Line) -> bool {
    line.mark == Mark::Same
}

fn line_text(line: &Line) -> String {
    format!("{} {}", line.mark.sign(), printable(&line.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of lines with these signs; `.` stands for those left out.
    fn shown(signs: &str) -> String {
        let mark = |sign| match sign {
            '-' => Mark::Expected,
            '+' => Mark::Actual,
            _ => Mark::Same,
        };
        let line = |sign| Line {
            mark: mark(sign),
            text: String::new(),
        };
        let lines: Vec<Line> = signs.chars().map(line).collect();
        let sign = |shown: &Shown<'_>| match shown {
            Shown::Line(line) => line.mark.sign(),
            Shown::Omitted(_) => '.',
        };
        shortened(&lines).iter().map(sign).collect()
    }

    #[test]
    fn what_is_far_from_a_difference_is_left_out() {
        for (signs, expected) in [
            ("      -+      ", ".   -+   ."),
            ("    -", "    -"),
            ("+       -", "+       -"),
            ("+        -", "+   .   -"),
            ("-+-", "-+-"),
        ] {
            assert_eq!(shown(signs), expected, "{signs:?}");
        }
    }
}
