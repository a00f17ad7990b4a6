//! How deep a program is nested.
//!
//! The compiler, and what it makes, call themselves as deep as a program is nested, and a stack that
//! is used up ends the process. So depth is bounded before the compiler sees the program, by what
//! can be counted without it: the brackets that are open, and in each of them the operators, dots
//! and `else` since its last `,`, `;` or end of line, for a chain such as `a + b + c` is a tree with
//! a level for each operator. That is never less than the depth, and seldom much more.

/// What the compiler takes in about half a second, and a stack of 2 MiB bears several times.
const DEPTH_MAX: usize = 100;

/// Where in `source` it becomes nested too deep.
pub(crate) fn too_deep(source: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    // By open bracket: which it is, and what was counted in it.
    let mut open = vec![(b'{', 0)];
    let mut depth = 0;
    // The last that is no blank.
    let mut last = b'\n';
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let is_inner = open.len() > 1;
        let (bracket, count) = open.last_mut()?;
        match byte {
            b'#' => at += length_until(&bytes[at..], b'\n') - 1,
            b'"' | b'\'' => at += length_of_string(&bytes[at..]) - 1,
            b'(' | b'[' | b'{' => {
                depth += 1;
                open.push((byte, 0));
            }
            b')' | b']' | b'}' if is_inner => {
                depth -= *count + 1;
                open.pop();
            }
            b',' | b';' => depth -= std::mem::take(count),
            b'\n' if *bracket == b'{' && !goes_on(last, &bytes[at..]) => {
                depth -= std::mem::take(count);
            }
            b'!' => {
                *count += 1;
                depth += 1;
            }
            b'e' if bytes[at..].starts_with(b"else") => {
                *count += 1;
                depth += 1;
            }
            _ if is_operator(byte) && !is_operator(last) => {
                *count += 1;
                depth += 1;
            }
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Some(at);
        }
        if !byte.is_ascii_whitespace() && byte != b'#' {
            last = byte;
        }
        at += 1;
    }
    None
}

fn is_operator(byte: u8) -> bool {
    b"+-*/%|&<>=?.".contains(&byte)
}

/// Whether an expression goes on behind the end of its line, at which `rest` begins.
fn goes_on(last: u8, rest: &[u8]) -> bool {
    let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
    // A dot begins a path: that is the next one.
    let is_chained = |next: &u8| is_operator(*next) && *next != b'.';
    is_operator(last) || last == b'!' || next.is_some_and(is_chained)
}

/// The bytes of `text` up to `end`, that not counted but for the first; all when it has none.
fn length_until(text: &[u8], end: u8) -> usize {
    let found = text.iter().position(|byte| *byte == end);
    found.unwrap_or(text.len()).max(1)
}

/// The bytes of the string that `text` begins with, its quotes counted.
fn length_of_string(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            _ if *byte == text[0] => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, too_deep};

    /// `unit` so often that it is just too deep, behind `begin`.
    #[track_caller]
    fn check(begin: &str, unit: &str, levels: usize) {
        let of = |count: usize| format!("{begin}{}", unit.repeat(count));
        let most = DEPTH_MAX / levels;
        assert_eq!(too_deep(&of(most - 1)), None, "{unit}");
        assert!(too_deep(&of(most + 2)).is_some(), "{unit}");
    }

    #[test]
    fn what_nests_is_counted() {
        check("", "(", 1);
        check("", "[", 1);
        check("x = ", "!", 1);
        check("x = ", ".a", 1);
        check("x = 1", " + 1", 1);
        check("x = 1", " +\n 1", 1);
        check("x = 1", "\n + 1", 1);
        check("x = .a", " || .b", 1);
        check("if a { b\n }", " else if c {\n d\n }", 1);
        check("", "{ x = 1 + ", 3);
    }

    #[test]
    fn what_stands_side_by_side_is_not() {
        for unit in [
            ".a = .b + 1\n",
            ".a = .b + 1; ",
            "if .a == 1 { .b = 2 }\n",
            "# a comment: (((\n",
            "\"(((\" ",
            "'\\'(((' ",
            "f([1, 2], {\"a\": 1})\n",
        ] {
            assert_eq!(too_deep(&unit.repeat(10_000)), None, "{unit}");
        }
        let list = format!("x = [{}]", "-1 + 2,\n".repeat(10_000));
        assert_eq!(too_deep(&list), None);
    }

    #[test]
    fn any_text_has_an_answer() {
        for text in ["", "}}}", "\"", "\\", "'\\", "#", "é(", ")"] {
            assert_eq!(too_deep(text), None, "{text}");
        }
    }
}
