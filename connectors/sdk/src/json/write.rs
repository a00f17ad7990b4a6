//! Writing JSON text.

use super::Fault;

/// Appends the JSON text `value` on one line: as it is if it has no line break, else without the
/// white space between its parts.
pub fn put_on_one_line(value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    if memchr::memchr2(b'\n', b'\r', value).is_none() {
        out.extend_from_slice(value);
        return Ok(());
    }
    let before = out.len();
    let mut in_string = false;
    let mut escaped = false;
    for (at, &byte) in value.iter().enumerate() {
        if in_string && matches!(byte, b'\n' | b'\r') {
            out.truncate(before);
            return Err(Fault {
                at,
                what: "a line break inside a string",
            });
        }
        if in_string || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            out.push(byte);
        }
        in_string = match byte {
            b'"' if !escaped => !in_string,
            _ => in_string,
        };
        escaped = in_string && byte == b'\\' && !escaped;
    }
    Ok(())
}

/// Appends `bytes` as a JSON string in base64 (RFC 4648, with padding).
pub fn put_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.reserve(bytes.len().div_ceil(3) * 4 + 2);
    out.push(b'"');
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * index)) as usize & 63];
            out.push(if index <= group.len() { digit } else { b'=' });
        }
    }
    out.push(b'"');
}
