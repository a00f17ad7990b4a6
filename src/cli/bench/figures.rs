//! The figures of the whole: each scenario several times, the plain copy of the same bytes beside
//! it, memory, and the time of a start.

use std::path::Path;

use super::super::failure::Failure;
use super::super::output::note;
use super::pipeline::{drain, start_and_idle};
use super::scenario::{EIGHT_FILES, EIGHT_PARTITIONS, Inputs, ONE_FILE, Scenario, TRANSFORMS};
use super::{Figure, disk};

/// Of the runs, that of [`ONE_FILE`]; those that are compared with it follow.
const ONE: usize = 1;
const COMPARED: usize = 2;

/// The median of `rounds` after one round to warm up, for the plain copy and each scenario.
///
/// Every round runs all of them one after the other, so that whatever else the machine and its disk
/// do meanwhile is shared by all. Each begins with nothing left to write from the one before it, and
/// each round with another one, so that none always has the same predecessor.
pub fn all(dir: &Path, bytes: u64, rounds: usize) -> Result<Vec<Figure>, Failure> {
    let scenarios: Vec<&Scenario> = [&ONE_FILE, &EIGHT_FILES, &EIGHT_PARTITIONS]
        .into_iter()
        .chain(TRANSFORMS.iter().copied())
        .collect();
    let mut inputs = Inputs::new(dir, bytes);
    let mut runs = vec![Vec::new(); 1 + scenarios.len()];
    for round in 0..=rounds {
        let warm_up = if round == 0 { " (warm-up)" } else { "" };
        for turn in 0..runs.len() {
            let which = (round + turn) % runs.len();
            let scenario = which.checked_sub(1).map(|index| scenarios[index]);
            let input = inputs.of(scenario.unwrap_or(&ONE_FILE))?;
            rustix::fs::sync();
            let figure = match scenario {
                None => disk::copies(dir, input, 2)?,
                Some(scenario) => drain(dir, input, scenario)?,
            };
            let Figure { what, seconds, .. } = &figure;
            note(&format!(
                "round {round} of {rounds}{warm_up}: {what}: {seconds:.3} s"
            ));
            if round > 0 {
                runs[which].push(figure);
            }
        }
    }
    inputs.remove()?;
    let mut medians = Vec::new();
    for (which, run) in runs.iter().enumerate() {
        let is_compared = (ONE + 1..=ONE + COMPARED).contains(&which);
        medians.extend(median(run.clone()).map(|figure| Figure {
            against_one_file: is_compared.then(|| ratio(run, &runs[ONE])).flatten(),
            ..figure
        }));
    }
    medians.extend(start_and_idle(dir)?);
    Ok(medians)
}

/// The figure in the middle by time, with the largest memory of all.
fn median(mut figures: Vec<Figure>) -> Option<Figure> {
    figures.sort_by(|left, right| left.seconds.total_cmp(&right.seconds));
    let memory_bytes = figures
        .iter()
        .filter_map(|figure| figure.memory_bytes)
        .max();
    let middle = figures.get(figures.len() / 2)?;
    Some(Figure {
        memory_bytes,
        ..middle.clone()
    })
}

/// The speed of `runs` as a part of that of `others`: the median of the rounds' ratios. Rounds
/// differ by what else the disk has to do, two runs of one round much less.
fn ratio(runs: &[Figure], others: &[Figure]) -> Option<f64> {
    let speed = |figure: &Figure| figure.records as f64 / figure.seconds;
    let rounds = runs.iter().zip(others);
    let mut ratios: Vec<f64> = rounds
        .map(|(run, other)| speed(run) / speed(other))
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        let figure = |seconds, memory| {
            let mut figure = Figure::new("x", Duration::from_secs(seconds), 0, 0);
            figure.memory_bytes = Some(memory);
            figure
        };
        let middle = median(vec![figure(9, 1), figure(2, 7), figure(3, 2)]).expect("a median");
        assert_eq!((middle.seconds, middle.memory_bytes), (3.0, Some(7)));
        assert!(median(Vec::new()).is_none());
    }

    #[test]
    fn runs_are_compared_within_their_rounds() {
        let runs = |seconds: [u64; 3]| {
            seconds.map(|seconds| Figure::new("x", Duration::from_secs(seconds), 0, 80))
        };
        // The first round was slow for both; only in the last one was the other one no faster.
        let found = ratio(&runs([16, 5, 4]), &runs([8, 4, 4]));
        assert_eq!(found, Some(0.8));
        assert_eq!(ratio(&[], &[]), None);
    }
}
