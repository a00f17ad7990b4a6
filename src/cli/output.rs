//! What commands print: data on stdout, all else on stderr; one JSON envelope with `--json`.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::failure::Failure;
use crate::http::Envelope;

/// How this command prints.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    pub json: bool,
}

impl Output {
    /// Prints `data` in the envelope, or as people read it.
    pub fn data<T: Serialize>(
        self,
        data: &T,
        human: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            self.json_line(&Envelope::data(data))
        } else {
            stdout(human(data).as_bytes())
        }
    }

    /// Prints one line of JSON.
    pub fn json_line<T: Serialize>(self, value: &T) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(value)
            .map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))?;
        line.push(b'\n');
        stdout(&line)
    }

    /// Says why the command ends.
    pub fn failure(self, failure: &Failure) {
        if failure.unheard {
            return;
        }
        if self.json {
            // When even that cannot be written, the exit code must do.
            let _ = self.json_line(&Envelope::error(failure.body.clone()));
            return;
        }
        match &failure.text {
            Some(text) => note(text.trim_end()),
            None => note(&format!("{}: {}", red("error"), failure.body.message)),
        }
    }
}

/// Writes to stdout, at once.
pub fn stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::output(&error))
}

/// Writes a line to stderr. Where nobody reads that, nothing can be said.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Whether stderr is a terminal that wants colour.
pub fn colour() -> bool {
    std::io::stderr().is_terminal() && wanted()
}

/// Whether stdout is a terminal that wants colour.
pub fn colour_of_data() -> bool {
    std::io::stdout().is_terminal() && wanted()
}

fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// `text` in red where stderr shows colour.
fn red(text: &str) -> String {
    if colour() {
        format!("\u{1b}[1;31m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Rows below a header, in columns as wide as they must be.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with a cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table, or `empty` on a line when there is no row.
    pub fn render(&self, empty: &str) -> String {
        if self.rows.is_empty() {
            return format!("{empty}\n");
        }
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
                widest.max(self.columns[column].0.len())
            })
            .collect();
        let header: Vec<String> = self
            .columns
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        std::iter::once(&header)
            .chain(&self.rows)
            .map(|row| format!("{}\n", self.line(row, &widths)))
            .collect()
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let aligned = cells.iter().zip(widths).zip(&self.columns);
        let line: Vec<String> = aligned
            .map(|((cell, width), (_, align))| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            })
            .collect();
        line.join("  ").trim_end().to_owned()
    }
}

/// `1234567` as `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 record`, `1,234 records`, `2 batches`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = match number {
        1 => "",
        _ if noun.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{} {noun}{plural}", count(number))
}

/// Bytes with three digits and a unit: `1.46 GiB`.
pub fn size(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut unit = 0;
    // 999.5 is rounded to 1000, which is one digit too many.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A rate with three digits: `2.51 M`.
pub fn rate(per_second: f64) -> String {
    const UNITS: [&str; 4] = ["", " k", " M", " G"];
    let mut value = per_second;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$}{}", UNITS[unit])
}

/// Milliseconds as the largest unit that says enough: `340 ms`, `12 s`, `3 min`, `5 h`, `2 d`.
pub fn span(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{} s", millis / 1_000),
        120_000..7_200_000 => format!("{} min", millis / 60_000),
        7_200_000..172_800_000 => format!("{} h", millis / 3_600_000),
        _ => format!("{} d", millis / 86_400_000),
    }
}

/// Milliseconds since 1970 as a time in UTC.
pub fn time(millis: i64) -> String {
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(moment) => format!("{moment:.3}"),
        Err(_) => format!("{millis} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut table = Table::new(&[("TOPIC", Align::Left), ("RECORDS", Align::Right)]);
        assert_eq!(table.render("no topics"), "no topics\n");
        table.row(["access-logs".to_owned(), "7".to_owned()]);
        table.row(["t".to_owned(), "12,345,678".to_owned()]);
        let expected =
            "TOPIC           RECORDS\naccess-logs           7\nt            12,345,678\n";
        assert_eq!(table.render("no topics"), expected);
    }

    #[test]
    fn numbers_are_short_and_exact_enough() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), expected);
        }
        assert_eq!(counted(1, "record"), "1 record");
        assert_eq!(counted(2_000, "record"), "2,000 records");
        for (bytes, expected) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1024.0, "1.00 KiB"),
            (1_572_864.0, "1.50 MiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
        for (per_second, expected) in [
            (0.4, "0"),
            (999.9, "1.00 k"),
            (2_510_000.0, "2.51 M"),
            (45_600.0, "45.6 k"),
        ] {
            assert_eq!(rate(per_second), expected);
        }
        for (millis, expected) in [(340, "340 ms"), (12_000, "12 s"), (180_000, "3 min")] {
            assert_eq!(span(millis), expected);
        }
    }

    #[test]
    fn times_are_in_utc_with_milliseconds() {
        assert_eq!(time(1_767_225_600_123), "2026-01-01T00:00:00.123Z");
    }
}
