//! A page as text.

use std::fmt;

use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;

use crate::http::error::Error;
use crate::signin::visitor::Visitor;

/// A text that is shown as it is, whatever it holds.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            letter => write!(f, "{letter}"),
        })
    }
}

/// A page; `body` is HTML.
pub(crate) fn page(title: &str, body: &str) -> String {
    let title = Text(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} · Slipway</title>\n\
         <link rel=\"stylesheet\" href=\"/login/style.css\">\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n\
         </main>\n</body>\n</html>\n"
    )
}

/// What stands under a page for somebody who is signed in.
pub(crate) fn signed_in_as(visitor: &Visitor, email: &str, next: &str) -> String {
    format!(
        "<footer>Signed in as {}. <form method=\"post\" action=\"/login/out\">{}\
         <input type=\"hidden\" name=\"next\" value=\"{}\"><button>Use another account</button></form></footer>",
        Text(email),
        visitor.hidden_field(),
        Text(next)
    )
}

/// What is wrong with what was entered, above the fields.
pub(crate) fn complaint(wrong: Option<&str>) -> String {
    wrong
        .map(|wrong| format!("<p class=\"wrong\" role=\"alert\" id=\"wrong\">{}</p>\n", Text(wrong)))
        .unwrap_or_default()
}

/// A field.
pub(crate) struct Field<'a> {
    /// What is read above it.
    pub(crate) label: &'a str,
    /// Its name in the form.
    pub(crate) name: &'a str,
    /// `text`, `email`, `password`.
    pub(crate) kind: &'a str,
    /// What a password manager fills in (HTML, "autofill detail tokens").
    pub(crate) autocomplete: &'a str,
    /// What stands in it.
    pub(crate) value: &'a str,
    /// Whether the cursor begins here.
    pub(crate) first: bool,
    /// Whether what was entered was wrong.
    pub(crate) wrong: bool,
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, name, kind, autocomplete, value, first, wrong } = self;
        write!(
            f,
            "<label for=\"{name}\">{}</label>\n<input id=\"{name}\" name=\"{name}\" type=\"{kind}\"",
            Text(label)
        )?;
        write!(f, " autocomplete=\"{autocomplete}\" value=\"{}\" required", Text(value))?;
        if *autocomplete == "one-time-code" {
            // Recovery codes have letters, so that a pad of digits would not do.
            f.write_str(" autocapitalize=\"none\" spellcheck=\"false\" maxlength=\"40\"")?;
        }
        if *autocomplete == "new-password" {
            f.write_str(" minlength=\"8\"")?;
        }
        if *wrong {
            f.write_str(" aria-invalid=\"true\" aria-describedby=\"wrong\"")?;
        }
        f.write_str(if *first { " autofocus>\n" } else { ">\n" })
    }
}

/// An error as a page.
#[derive(Debug)]
pub(crate) struct PageError(pub(crate) Error);

impl<E: Into<Error>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        shown(self.0.status(), "That did not work", &format!("<p role=\"alert\">{}</p>", Text(self.0.message())))
    }
}

/// What a page's handler answers.
pub(crate) type Result<T = Response> = std::result::Result<T, PageError>;

/// A page with its status.
pub(crate) fn shown(status: StatusCode, title: &str, body: &str) -> Response {
    (status, Html(page(title, body))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_text() {
        assert_eq!(Text("<a href='x'>\"&").to_string(), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
    }
}
