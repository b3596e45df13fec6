//! What nobody should send: texts, numbers and shapes that have broken other platforms.

use serde_json::{Value, json};

use crate::random::Random;

/// Texts that mean something to some layer below: shells, SQL, paths, HTML, formats, log readers, Unicode.
const TEXTS: &[&str] = &[
    "",
    " ",
    "\0",
    "a\0b",
    "\n",
    "line\r\nSet-Cookie: a=b\r\n\r\n",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{202e}evil\u{202c}",
    "\u{200c}\u{200d}\u{feff}",
    "e\u{301}\u{301}\u{301}\u{301}",
    "\u{1f469}\u{200d}\u{1f680}\u{1f9b8}\u{1f3fd}",
    "ß\u{131}\u{130}\u{17f}\u{1e9e}",
    "\u{10ffff}\u{fffe}\u{fffd}",
    "' OR '1'='1",
    "'; DROP TABLE apps; --",
    "\" UNION SELECT * FROM accounts --",
    "%",
    "_%",
    "../../../etc/passwd",
    "..%2f..%2f",
    "%00",
    "%2e%2e",
    "/etc/passwd",
    "C:\\con",
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]:5080/",
    "gopher://127.0.0.1:25/",
    "javascript:alert(1)",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "{{7*7}}${7*7}#{7*7}<%= 7*7 %>",
    "$(touch /tmp/x)",
    "`id`",
    "; rm -rf / #",
    "| nc 127.0.0.1 1",
    "%s%n%x",
    "--upload-pack=touch /tmp/x",
    "-oProxyCommand=id",
    "LD_PRELOAD",
    "__proto__",
    "constructor",
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "NaN",
    "~",
    "@",
    "*",
    "*.*",
    "xn--",
    "xn--a",
    ".",
    "..",
    "a..b",
    "UPPER-case",
    "00000000-0000-0000-0000-000000000000",
];

/// Numbers at the ends of the types somebody may read them into.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-1",
    "0.5",
    "1e2",
    "255",
    "65536",
    "2147483647",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "-9223372036854775809",
    "1e308",
    "1e400",
    "-1e-400",
];

pub(crate) fn text(random: &mut Random) -> String {
    match random.below(10) {
        0 => "x".repeat(64 * 1024),
        1 => "\u{1f4a3}".repeat(random.below(300)),
        2 => random.one(TEXTS).repeat(random.below(40)),
        3 => {
            (0..random.below(40)).filter_map(|_| char::from_u32(random.below(0x11_0000).try_into().unwrap())).collect()
        }
        _ => random.one(TEXTS).to_owned(),
    }
}

/// A number that fits into no JSON value of Rust is a text that [`crate::bodies::written`] writes without its quotes.
pub(crate) fn number(random: &mut Random) -> Value {
    json!(format!("{RAW}{}", random.one(NUMBERS)))
}

/// Marks a text that is written as it is.
pub(crate) const RAW: &str = "\u{e000}raw:";

pub(crate) fn value(random: &mut Random) -> Value {
    match random.below(12) {
        0 => Value::Null,
        1 => json!(random.percent(50)),
        2 | 3 => number(random),
        4 => json!([]),
        5 => json!({}),
        6 => json!([value(random)]),
        7 => json!({ text(random): value(random) }),
        8 => json!({ "id": text(random), "name": text(random) }),
        _ => json!(text(random)),
    }
}

/// A segment of a path as it is written, percent signs included.
pub(crate) fn segment(random: &mut Random) -> String {
    const SEGMENTS: &[&str] = &[
        "..",
        ".",
        "%2e%2e",
        "%2E%2e%2F",
        "%00",
        "a%00b",
        "%0a",
        "%ff",
        "%c3%28",
        "%ed%a0%80",
        "%",
        "%zz",
        "%2",
        "%252e",
        "%2f",
        "%5c",
        "\\",
        ";",
        ";a=b",
        "a;b",
        "~",
        "*",
        "'",
        "%27%20OR%201=1",
        "%3Cscript%3E",
        "%F0%9F%92%A3",
        "",
        "v",
        "v0",
        "v-1",
        "v99999999999999999999",
        "0",
        "-1",
        "+1",
        "1e9",
        "web",
        "web.1",
        "web.99999999999",
        "run.1",
        "00000000-0000-0000-0000-000000000000",
        "{app}",
        ":app",
        "@example.com",
        "owner%40example.com",
    ];
    match random.below(8) {
        0 => "a".repeat(4096),
        1 => "%41".repeat(1400),
        2 => encoded(&text(random)).chars().take(3000).collect(),
        _ => random.one(SEGMENTS).to_owned(),
    }
}

pub(crate) fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
