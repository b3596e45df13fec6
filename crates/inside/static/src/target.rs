//! From a request's target to a path below the root.

/// A decoded path: no empty, `.` or `..` parts, no NUL, no hidden part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Relative to the root, without a slash at either end.
    pub(crate) path: String,
    /// Whether it ended with a slash, or is the root itself.
    pub(crate) folder: bool,
    /// The query with its `?`, as it was sent.
    pub(crate) query: String,
}

/// Decodes a target; none if no file can ever have that path. Hidden files are never served, but for `.well-known`.
pub(crate) fn parse(target: &str) -> Option<Target> {
    let (path, query) =
        target.split_once('?').map_or((target, String::new()), |(path, query)| (path, format!("?{query}")));
    let decoded = decode(path.strip_prefix('/')?)?;
    let parts: Vec<&str> = decoded.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let hidden = |part: &&str| part.starts_with('.') && *part != ".well-known";
    if parts.iter().any(hidden) || decoded.contains('\0') {
        return None;
    }
    Some(Target { path: parts.join("/"), folder: decoded.is_empty() || decoded.ends_with('/'), query })
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { digit(rest.next()?)? << 4 | digit(rest.next()?)? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// A path as it stands in a `Location`: what is not plainly part of a path is encoded again.
pub(crate) fn encode(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    text
}

fn hex(value: u8) -> char {
    char::from_digit(u32::from(value), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let cases = [
            ("/", Some(("", true))),
            ("/a/b.txt", Some(("a/b.txt", false))),
            ("/a//b/", Some(("a/b", true))),
            ("/a%20b", Some(("a b", false))),
            ("/a%2Fb", Some(("a/b", false))),
            ("/%2e%2e/x", None),
            ("/../x", None),
            ("/a/..%2f..%2fx", None),
            ("/.env", None),
            ("/a/.git/config", None),
            ("/.well-known/x", Some((".well-known/x", false))),
            ("/a%00", None),
            ("/%zz", None),
            ("/%ff", None),
            ("*", None),
            ("http://x/", None),
        ];
        for (target, expected) in cases {
            let found = parse(target).map(|target| (target.path, target.folder));
            assert_eq!(found, expected.map(|(path, folder)| (path.to_owned(), folder)), "{target}");
        }
    }

    #[test]
    fn queries_and_encoding() {
        assert_eq!(parse("/a?b=c?d").unwrap().query, "?b=c?d");
        assert_eq!(encode("a b/é\r\n"), "a%20b/%C3%A9%0D%0A");
    }
}
