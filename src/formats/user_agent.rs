//! What browser, system and kind of device a `User-Agent` speaks of.
//!
//! Own rules, a table each, for the names that make up nearly all traffic: the crates that read the
//! uap-core collection compile a thousand regular expressions (tens of megabytes, 100 ms at each
//! start), the light ones are no longer kept. A name that no rule knows is left out, not guessed.
//!
//! `browser.family`, `browser.version`, `os.family`, `os.version`, and `device.category`: one of
//! `pc`, `mobile`, `tablet`, `tv`, `crawler`, `tool`.

use towpath_sdk::json;

use crate::parse::{Fault, Parser, utf8};

/// Tokens before a version, and whose they are; the first that is found counts, so those that claim
/// to be others too come first.
const BROWSERS: [(&str, &str); 24] = [
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edg/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPiOS/", "Opera"),
    ("Opera Mini/", "Opera Mini"),
    ("Opera/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex Browser"),
    ("Vivaldi/", "Vivaldi"),
    ("UCBrowser/", "UC Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("MiuiBrowser/", "Miui Browser"),
    ("Whale/", "Whale"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Headless Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("MSIE ", "Internet Explorer"),
    ("Trident/", "Internet Explorer"),
    ("Version/", "Safari"),
];

/// Programs that say who they are with the first word.
const TOOLS: [&str; 20] = [
    "curl",
    "Wget",
    "python-requests",
    "Python-urllib",
    "python-httpx",
    "aiohttp",
    "Go-http-client",
    "okhttp",
    "Apache-HttpClient",
    "Java",
    "axios",
    "node-fetch",
    "undici",
    "GuzzleHttp",
    "libwww-perl",
    "Ruby",
    "PostmanRuntime",
    "kube-probe",
    "Prometheus",
    "ELB-HealthChecker",
];

/// Systems by what stands before their version; `_` in a version is a dot.
const SYSTEMS: [(&str, &str); 11] = [
    ("Windows Phone ", "Windows Phone"),
    ("Windows NT ", "Windows"),
    ("Android ", "Android"),
    ("Android;", "Android"),
    ("CPU iPhone OS ", "iOS"),
    ("CPU OS ", "iOS"),
    ("Mac OS X ", "macOS"),
    ("Mac OS X", "macOS"),
    ("CrOS ", "Chrome OS"),
    ("FreeBSD", "FreeBSD"),
    ("Linux", "Linux"),
];

/// What people call the versions of Windows NT.
const WINDOWS: [(&str, &str); 6] = [
    ("10.0", "10"),
    ("6.3", "8.1"),
    ("6.2", "8"),
    ("6.1", "7"),
    ("6.0", "Vista"),
    ("5.1", "XP"),
];

/// Parts of the names of crawlers, in small letters.
const CRAWLERS: [&str; 6] = [
    "bot",
    "crawl",
    "spider",
    "slurp",
    "facebookexternalhit",
    "mediapartners",
];

/// A parser of `User-Agent`.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserAgent;

impl Parser for UserAgent {
    fn name(&self) -> &'static str {
        "a user agent"
    }

    fn parse(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let text = utf8(text)?;
        let crawler = crawler(text);
        let tool = tool(text);
        let browser = crawler.or(tool).or_else(|| browser(text));
        out.push(b'{');
        let start = out.len();
        for (name, found) in [("browser", browser), ("os", system(text))] {
            if let Some((family, version)) = found {
                open(name, start, out);
                out.extend_from_slice(b"\"family\":");
                json::put_string(family, out);
                put_version(version, out);
                out.push(b'}');
            }
        }
        let category = match (crawler, tool) {
            (Some(_), _) => Some("crawler"),
            (None, Some(_)) => Some("tool"),
            (None, None) => device(text),
        };
        if let Some(category) = category {
            open("device", start, out);
            out.extend_from_slice(b"\"category\":");
            json::put_string(category, out);
            out.push(b'}');
        }
        out.push(b'}');
        Ok(())
    }
}

/// Appends `"name":{`, with a comma unless the object begins at `start`.
fn open(name: &str, start: usize, out: &mut Vec<u8>) {
    if out.len() > start {
        out.push(b',');
    }
    json::put_string(name, out);
    out.extend_from_slice(b":{");
}

fn put_version(version: &str, out: &mut Vec<u8>) {
    if version.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"version\":");
    let start = out.len();
    json::put_string(version, out);
    // Apple writes 17_1 for 17.1.
    for byte in &mut out[start..] {
        if *byte == b'_' {
            *byte = b'.';
        }
    }
}

/// A name and a version, which may be empty.
type Named<'a> = (&'a str, &'a str);

/// The version `text` begins with.
fn version(text: &str) -> &str {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let end = text.bytes().take_while(|byte| is_part(byte)).count();
    &text[..end]
}

fn behind<'a>(text: &'a str, token: &str) -> Option<&'a str> {
    text.find(token).map(|at| &text[at + token.len()..])
}

fn browser(text: &str) -> Option<Named<'_>> {
    let known = BROWSERS
        .iter()
        .find_map(|(token, family)| Some((*family, behind(text, token)?)));
    let (family, rest) = known?;
    Some(match family {
        // Opera kept `Opera/9.80` for ever, Internet Explorer 11 has no `MSIE`.
        "Opera" => (family, version(behind(text, "Version/").unwrap_or(rest))),
        "Internet Explorer" => (family, version(behind(text, "rv:").unwrap_or(rest))),
        "Safari" if !text.contains("Safari/") => return None,
        "Safari" if text.contains("Android") => ("Android Browser", version(rest)),
        _ => (family, version(rest)),
    })
}

fn tool(text: &str) -> Option<Named<'_>> {
    let (name, rest) = text.split_at(text.find(['/', ' ']).unwrap_or(text.len()));
    TOOLS
        .contains(&name)
        .then(|| (name, version(rest.get(1..).unwrap_or_default())))
}

/// The word whose letters tell of a crawler, and the version behind it.
fn crawler(text: &str) -> Option<Named<'_>> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let mut words = text.split(|character| !is_name(character));
    let word = words.find(|word| {
        // Of a page's address, which crawlers name as well, nothing counts.
        let has = |part: &&str| contains_ignoring_case(word, part);
        !word.contains('.') && CRAWLERS.iter().any(has)
    })?;
    let rest = &text[word.as_ptr() as usize - text.as_ptr() as usize + word.len()..];
    Some((word, rest.strip_prefix('/').map_or("", version)))
}

fn contains_ignoring_case(text: &str, part: &str) -> bool {
    let mut windows = text.as_bytes().windows(part.len());
    windows.any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

fn system(text: &str) -> Option<Named<'_>> {
    let (family, rest) = SYSTEMS
        .iter()
        .find_map(|(token, family)| Some((*family, behind(text, token)?)))?;
    let version = version(rest);
    Some(match family {
        "Windows" => {
            let known = WINDOWS.iter().find(|(number, _)| *number == version);
            (family, known.map_or(version, |(_, name)| name))
        }
        // What follows is the processor.
        "Linux" | "Chrome OS" | "FreeBSD" => (family, ""),
        _ => (family, version.trim_end_matches('.')),
    })
}

fn device(text: &str) -> Option<&'static str> {
    let has = |token: &str| text.contains(token);
    Some(
        if has("SmartTV") || has("SMART-TV") || has("AppleTV") || has("BRAVIA") {
            "tv"
        } else if has("iPad") || has("Tablet") || (has("Android") && !has("Mobile")) {
            "tablet"
        } else if has("Mobile") || has("iPhone") || has("Windows Phone") || has("Opera Mini") {
            "mobile"
        } else if has("Windows NT") || has("Macintosh") || has("X11") || has("Linux") {
            "pc"
        } else {
            return None;
        },
    )
}
