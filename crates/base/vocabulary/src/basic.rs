//! Basic credentials, as doors are given them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Secret;

/// User name and password of an `Authorization` header (RFC 7617), either of which may be empty; nothing if the scheme
/// is another or the rest makes no sense.
#[must_use]
pub fn basic_credentials(header: &str) -> Option<(String, Secret)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), Secret::new(password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_colon_ends_the_user() {
        let of = |text: &str| basic_credentials(&format!("bAsIc {}", STANDARD.encode(text)));
        assert_eq!(of("me:a:b"), Some(("me".to_owned(), Secret::new("a:b"))));
        assert_eq!(of(":"), Some((String::new(), Secret::new(""))));
        assert_eq!(of("me"), None);
        for other in ["Bearer abc", "Basic", "Basic !", ""] {
            assert_eq!(basic_credentials(other), None, "{other}");
        }
    }
}
