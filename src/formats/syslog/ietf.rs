//! RFC 5424: `1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`, `-` for what is
//! not known.

use towpath_sdk::json;

use super::Message;
use crate::parse::Fault;

/// The message behind its priority.
pub(super) fn put(message: &mut Message<'_>, unescaped: &mut String) -> Result<(), Fault> {
    message.word()?;
    message.name("version");
    message.out.push(b'1');
    let at = message.at;
    let timestamp = message.word()?;
    if timestamp != "-" {
        if !timestamp.contains('T') || timestamp.parse::<jiff::Timestamp>().is_err() {
            return Err(Fault {
                at,
                what: "expected a time in ISO 8601, or `-`",
            });
        }
        message.field("timestamp", timestamp);
    }
    for name in ["hostname", "appname", "procid", "msgid"] {
        let word = message.word()?;
        if word != "-" {
            message.field(name, word);
        }
    }
    if let Some(rest) = message.rest().strip_prefix('-') {
        message.at = message.text.len() - rest.len();
    } else {
        structured_data(message, unescaped)?;
    }
    let Some(text) = message.rest().strip_prefix(' ') else {
        return match message.rest() {
            "" => Ok(()),
            _ => Err(message.fault("expected a space before the message")),
        };
    };
    message.field("message", text.strip_prefix('\u{feff}').unwrap_or(text));
    Ok(())
}

/// `[id name="value" ...][...]`.
fn structured_data(message: &mut Message<'_>, unescaped: &mut String) -> Result<(), Fault> {
    if !message.rest().starts_with('[') {
        return Err(message.fault("expected structured data, or `-`"));
    }
    message.name("structured_data");
    let mut before = b'{';
    while message.rest().starts_with('[') {
        message.at += 1;
        message.out.push(before);
        before = b',';
        put_name(message)?;
        message.out.push(b'{');
        let mut first = true;
        while message.rest().starts_with(' ') {
            message.at += 1;
            if !first {
                message.out.push(b',');
            }
            first = false;
            put_name(message)?;
            if !message.rest().starts_with("=\"") {
                return Err(message.fault("expected a parameter's value in quotes"));
            }
            message.at += 2;
            value(message, unescaped)?;
        }
        if !message.rest().starts_with(']') {
            return Err(message.fault("expected `]`"));
        }
        message.at += 1;
        message.out.push(b'}');
    }
    message.out.push(b'}');
    Ok(())
}

/// Passes an SD-NAME, and writes it with its colon.
fn put_name(message: &mut Message<'_>) -> Result<(), Fault> {
    let rest = message.rest();
    let is_name = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'=' | b']' | b'"');
    let end = rest.bytes().take_while(|byte| is_name(byte)).count();
    if end == 0 {
        return Err(message.fault("expected a name"));
    }
    json::put_string(&rest[..end], message.out);
    message.out.push(b':');
    message.at += end;
    Ok(())
}

/// Passes a parameter's value with its closing quote. `\"`, `\\` and `\]` are escapes; a backslash
/// before anything else stands for itself.
fn value(message: &mut Message<'_>, unescaped: &mut String) -> Result<(), Fault> {
    let rest = message.rest();
    let bytes = rest.as_bytes();
    unescaped.clear();
    let (mut copied, mut at) = (0, 0);
    loop {
        let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) else {
            return Err(message.fault("a quote that is never closed"));
        };
        at += found;
        if bytes[at] == b'"' {
            break;
        }
        if let Some(b'"' | b'\\' | b']') = bytes.get(at + 1) {
            unescaped.push_str(&rest[copied..at]);
            copied = at + 1;
            at += 1;
        }
        at += 1;
    }
    if copied == 0 {
        json::put_string(&rest[..at], message.out);
    } else {
        unescaped.push_str(&rest[copied..at]);
        json::put_string(unescaped, message.out);
    }
    message.at += at + 1;
    Ok(())
}
