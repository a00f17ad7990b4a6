//! The worker's own log lines: to stderr, as text or JSON, every value escaped.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use towpath_pipeline::{LogFormat, LogLevel, LoggingConfig};
use towpath_sdk::{hide_secrets, printable};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::output::time;
use super::progress::Screen;

/// Writes events of our crates, and warnings of all others.
struct Lines {
    screen: Screen,
    level: Level,
    format: LogFormat,
}

/// The values of an event, in their order.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

/// From here on events go to stderr, above the progress of `screen`.
pub fn init(config: &LoggingConfig, screen: Screen) {
    let level = match config.level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    let lines = Lines {
        screen,
        level,
        format: config.format,
    };
    // It fails only if it was done before: then that one goes on.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let ours = ["towpath", "connector_"]
            .iter()
            .any(|name| metadata.target().starts_with(name));
        *metadata.level()
            <= if ours {
                self.level
            } else {
                self.level.min(Level::WARN)
            }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let now = time(jiff::Timestamp::now().as_millisecond());
        let line = match self.format {
            LogFormat::Text => fields.text(&now, *event.metadata().level()),
            LogFormat::Json => fields.json(&now, *event.metadata().level()),
        };
        self.screen.note(&line);
    }
}

impl Fields {
    /// `2026-01-01T00:00:00.000Z WARN web.nginx: cannot open a.log attempt=3`.
    fn text(&self, time: &str, level: Level) -> String {
        let mut line = format!("{time} {level:5} ");
        if let Some(Value::String(connector)) = self.others.get("connector") {
            // Writing to a String cannot fail.
            let _ = write!(line, "{}: ", printable(connector));
        }
        line.push_str(&printable(&self.message));
        for (name, value) in self.others.iter().filter(|(name, _)| *name != "connector") {
            let value = match value {
                Value::String(text) => printable(text),
                other => other.to_string(),
            };
            let _ = write!(line, " {name}={value}");
        }
        line
    }

    fn json(mut self, time: &str, level: Level) -> String {
        let mut line = Map::new();
        line.insert("time".to_owned(), time.into());
        line.insert("level".to_owned(), level.as_str().to_lowercase().into());
        line.insert("message".to_owned(), hide_secrets(&self.message).into());
        line.append(&mut self.others);
        Value::Object(line).to_string()
    }

    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, text);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.to_owned();
        } else {
            self.put(field, value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        let mut others = Map::new();
        others.insert("connector".to_owned(), "web.nginx".into());
        others.insert("attempt".to_owned(), 3.into());
        Fields {
            message: "cannot open a\nb\u{1b}[2J".to_owned(),
            others,
        }
    }

    #[test]
    fn no_value_can_break_the_line_or_the_terminal() {
        let text = fields().text("T", Level::WARN);
        assert_eq!(
            text,
            "T WARN  web.nginx: cannot open a\\nb\\u{1b}[2J attempt=3"
        );
        let json = fields().json("T", Level::WARN);
        let expected = r#"{"time":"T","level":"warn","message":"cannot open a\nb\u001b[2J","connector":"web.nginx","attempt":3}"#;
        assert_eq!(json, expected);
    }
}
