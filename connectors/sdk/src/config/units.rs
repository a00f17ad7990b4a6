//! Option types with units: sizes, durations, times, zones.

use super::types::expect_text;
use super::{Form, Kind, Node, NodeValue, OptionType, Problem, Problems};

/// A number of bytes: `512B 64KiB 10GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

pub(super) const SIZE_UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl OptionType for Size {
    fn kind() -> Kind {
        let pattern = Some("^[0-9]+(B|KiB|MiB|GiB|TiB)$");
        Kind::Text(Form {
            name: "size",
            pattern,
            example: "64MiB",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        quantity(
            node,
            "a size such as 64MiB",
            SIZE_UNITS,
            near_size_unit,
            problems,
        )
        .map(Self)
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_quantity(f, self.0, SIZE_UNITS)
    }
}

/// The unit that was probably meant: `GB`, `gb`, `g` are `GiB`.
fn near_size_unit(unit: &str) -> Option<&'static str> {
    match unit.to_ascii_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => Some("B"),
        "k" | "kb" | "kib" => Some("KiB"),
        "m" | "mb" | "mib" => Some("MiB"),
        "g" | "gb" | "gib" => Some("GiB"),
        "t" | "tb" | "tib" => Some("TiB"),
        _ => None,
    }
}

/// A span of time: `500ms 5s 10m 7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub std::time::Duration);

pub(super) const DURATION_UNITS: &[(&str, u64)] = &[
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Duration {
    fn from_millis(millis: u64) -> Self {
        Self(std::time::Duration::from_millis(millis))
    }

    fn form() -> Form {
        Form {
            name: "duration",
            pattern: Some("^[0-9]+(ms|s|m|h|d)$"),
            example: "5m",
        }
    }
}

impl OptionType for Duration {
    fn kind() -> Kind {
        Kind::Text(Self::form())
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        quantity(
            node,
            "a duration such as 5s",
            DURATION_UNITS,
            near_duration_unit,
            problems,
        )
        .map(Self::from_millis)
    }
}

impl std::fmt::Display for Duration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        write_quantity(f, millis, DURATION_UNITS)
    }
}

fn near_duration_unit(unit: &str) -> Option<&'static str> {
    match unit.to_ascii_lowercase().as_str() {
        "millis" | "msec" | "millisecond" | "milliseconds" | "ms" => Some("ms"),
        "" | "s" | "sec" | "secs" | "second" | "seconds" => Some("s"),
        "m" | "min" | "mins" | "minute" | "minutes" => Some("m"),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some("h"),
        "d" | "day" | "days" => Some("d"),
        _ => None,
    }
}

/// A duration, or `forever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Without end.
    Forever,
    /// That long.
    After(Duration),
}

impl OptionType for Limit {
    fn kind() -> Kind {
        let pattern = Some("^([0-9]+(ms|s|m|h|d)|forever)$");
        Kind::Text(Form {
            name: "duration or `forever`",
            pattern,
            example: "7d",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.text() == Some("forever") {
            return Some(Self::Forever);
        }
        let what = "a duration such as 5s, or `forever`";
        quantity(node, what, DURATION_UNITS, near_duration_unit, problems)
            .map(|millis| Self::After(Duration::from_millis(millis)))
    }
}

/// Where to begin: `earliest`, `latest`, a moment, or some time ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest there is.
    Earliest,
    /// Behind what is there.
    Latest,
    /// Milliseconds since 1970.
    At(i64),
    /// That long before the connector first starts.
    Ago(Duration),
}

impl OptionType for Start {
    fn kind() -> Kind {
        let name = "`earliest`, `latest`, RFC 3339 time or duration";
        Kind::Text(Form {
            name,
            pattern: None,
            example: "2026-01-01T00:00:00Z",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        const WHAT: &str =
            "`earliest`, `latest`, a time such as 2026-01-01T00:00:00Z or a duration such as 2h";
        match node.text() {
            Some("earliest") => return Some(Self::Earliest),
            Some("latest") => return Some(Self::Latest),
            _ => {}
        }
        if let Some(text) = node.text().filter(|text| text.contains('-')) {
            return match text.parse::<jiff::Timestamp>() {
                Ok(moment) => Some(Self::At(moment.as_millisecond())),
                Err(_) => {
                    let message = format!("expected {WHAT}, found {}", node.found());
                    let help = "a time needs date, time and zone: 2026-01-01T00:00:00Z";
                    problems.push(Problem::new(node.span, message).help(help));
                    None
                }
            };
        }
        if let Some(year) = node.written().filter(|written| is_year(written)) {
            let message = format!("expected {WHAT}, found {}", node.found());
            let help = format!("did you mean `{year}-01-01T00:00:00Z`?");
            problems.push(Problem::new(node.span, message).help(help));
            return None;
        }
        if let Some(word) = node.written().filter(|_| node.text().is_some())
            && let Some(near) = super::nearest(&word, ["earliest", "latest"])
        {
            let message = format!("expected {WHAT}, found {}", node.found());
            problems.push(Problem::new(node.span, message).help(format!("did you mean `{near}`?")));
            return None;
        }
        quantity(node, WHAT, DURATION_UNITS, near_duration_unit, problems)
            .map(|millis| Self::Ago(Duration::from_millis(millis)))
    }
}

/// A time zone by its name, such as `Europe/Berlin`.
#[derive(Debug, Clone, PartialEq)]
pub struct Timezone(pub jiff::tz::TimeZone);

impl OptionType for Timezone {
    fn kind() -> Kind {
        Kind::Text(Form {
            name: "time zone",
            pattern: None,
            example: "Europe/Berlin",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let name = expect_text(node, "a time zone such as Europe/Berlin", problems)?;
        match name {
            "UTC" => Some(Self(jiff::tz::TimeZone::UTC)),
            _ => match jiff::tz::TimeZone::get(name) {
                Ok(zone) => Some(Self(zone)),
                Err(_) => {
                    let message =
                        format!("{} is no time zone that this machine knows", node.found());
                    problems.push(
                        Problem::new(node.span, message).help("such as Europe/Berlin or UTC"),
                    );
                    None
                }
            },
        }
    }
}

/// Reads a whole number with one of `units`; `near` gives the unit that was probably meant.
fn quantity(
    node: &Node,
    what: &str,
    units: &[(&str, u64)],
    near: fn(&str) -> Option<&'static str>,
    problems: &mut Problems,
) -> Option<u64> {
    let text = match &node.value {
        NodeValue::String(text) | NodeValue::Number(text) => text.as_str(),
        _ => expect_text(node, what, problems)?,
    };
    let (digits, unit) = split(text);
    let known = units.iter().find(|(name, _)| *name == unit);
    if let (Some((_, factor)), true) = (known, is_whole(digits)) {
        match digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*factor))
        {
            Some(quantity) => return Some(quantity),
            None => problems.add(node.span, format!("{} is too large", node.found())),
        }
        return None;
    }
    let mut problem = Problem::new(
        node.span,
        format!("expected {what}, found {}", node.found()),
    );
    let meant = near(unit.trim()).filter(|_| node.reference.is_none() && is_whole(digits.trim()));
    if let Some(unit) = meant {
        problem = problem.help(format!("did you mean `{}{unit}`?", digits.trim()));
    } else {
        let names = unit_names(units);
        problem = problem.help(format!("a whole number and one of the units {names}"));
    }
    problems.push(problem);
    None
}

/// From small to large.
pub(super) fn unit_names(units: &[(&str, u64)]) -> String {
    let names: Vec<&str> = units.iter().rev().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// Number and unit.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len()))
}

/// Whether it is rather a year than a number of anything.
fn is_year(written: &str) -> bool {
    written.len() == 4 && is_whole(written) && ("1970".."2200").contains(&written)
}

fn is_whole(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// In the largest unit that divides it; `units` go from large to small.
fn write_quantity(
    f: &mut std::fmt::Formatter<'_>,
    quantity: u64,
    units: &[(&str, u64)],
) -> std::fmt::Result {
    let fits = |factor: u64| quantity != 0 && quantity.is_multiple_of(factor);
    let (name, factor) = units
        .iter()
        .find(|(_, factor)| fits(*factor))
        .unwrap_or(&units[units.len() - 1]);
    write!(f, "{}{name}", quantity / factor)
}
