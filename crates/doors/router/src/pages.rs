//! The pages a browser gets when no app answers. Same statuses and headers as Heroku's; the wording is ours.

use http::StatusCode;

use crate::codes::Code;

/// A page in HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its text.
    pub(crate) html: String,
}

/// The page of a code.
pub(crate) fn of_code(code: Code) -> Page {
    let (title, text) = match code {
        Code::H80 => ("Down for maintenance", "This app is being worked on. Please come back in a little while."),
        Code::H81 => ("Nothing here yet", "This app has no code yet. Once it is deployed, it answers here."),
        Code::H26(_) => ("Bad request", "The request could not be understood."),
        Code::H31 => ("Misdirected request", "This connection was opened for another host."),
        _ => (
            "Application error",
            "The app could not answer this request. Whoever runs it finds the reason in its logs: \
             <code>heroku logs --tail</code>",
        ),
    };
    Page { status: code.status(), html: html(title, text) }
}

/// The page for a host that belongs to nobody.
pub(crate) fn no_such_app() -> Page {
    Page { status: StatusCode::NOT_FOUND, html: html("No such app", "There is no app at this address.") }
}

/// The page for a `CONNECT` to a host that the platform does not stand in for.
pub(crate) fn no_proxy() -> Page {
    let text = "This is no proxy: it stands in for a few of Heroku's hosts, by which the heroku command reaches this \
                platform, and leads nowhere else. Take its address out of HTTP_PROXY and HTTPS_PROXY.";
    Page { status: StatusCode::FORBIDDEN, html: html("Not a proxy", text) }
}

/// The page for a request that could not be read.
pub(crate) fn refused(status: StatusCode) -> Page {
    Page { status, html: html(status.canonical_reason().unwrap_or("Bad request"), "The request was not accepted.") }
}

fn html(title: &str, text: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:20vh auto 0;padding:0 1em;color:#333}}\
         h1{{font-size:1.5em}}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{text}</p>\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_the_status_of_what_they_say() {
        assert_eq!(of_code(Code::H80).status, 503);
        assert!(of_code(Code::H80).html.contains("<title>Down for maintenance</title>"));
        assert_eq!(of_code(Code::H81).status, 502);
        assert!(of_code(Code::H12).html.contains("Application error"));
        assert_eq!(no_such_app().status, 404);
        assert_eq!(no_proxy().status, 403);
        assert_eq!(refused(StatusCode::URI_TOO_LONG).status, 414);
    }
}
