//! The figures of the whole: each scenario several times, the plain copy of the same bytes beside
//! it, memory, and the time of a start.

use std::path::Path;

use super::super::failure::Failure;
use super::super::output::note;
use super::lines::Input;
use super::pipeline::{Scenario, drain, start_and_idle};
use super::{Figure, cannot, disk};

/// The median of `rounds` after one round to warm up, for each scenario.
pub fn all(dir: &Path, bytes: u64, rounds: usize) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    for (scenario, files) in [
        (Scenario::OneFile, 1),
        (Scenario::EightFiles, 8),
        (Scenario::EightPartitions, 1),
    ] {
        let lines = dir.join("input");
        let input = Input::write(&lines, files, bytes)?;
        let mut copies = Vec::new();
        let mut drains = Vec::new();
        for round in 0..=rounds {
            let copy = disk::copies(dir, &input, 2)?;
            let drained = drain(dir, &input, scenario)?;
            note(&format!(
                "{}, round {round} of {rounds}{}: {:.3} s; {}: {:.3} s",
                drained.what,
                if round == 0 { " (warm-up)" } else { "" },
                drained.seconds,
                copy.what,
                copy.seconds
            ));
            if round > 0 {
                copies.push(copy);
                drains.push(drained);
            }
        }
        figures.extend(median(copies));
        figures.extend(median(drains));
        std::fs::remove_dir_all(&lines).map_err(|error| cannot("remove", &lines, &error))?;
    }
    figures.extend(start_and_idle(dir)?);
    Ok(figures)
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
}
