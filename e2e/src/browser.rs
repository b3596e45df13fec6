//! A browser without scripts: it keeps one cookie, follows the platform's own redirects, and sends the forms it is shown.

use std::net::SocketAddr;

use crate::Failure;
use crate::http::{Response, request};

/// A browser.
#[derive(Debug)]
pub struct Browser {
    address: SocketAddr,
    cookie: Option<String>,
    /// The page it shows.
    pub page: String,
    /// The status of that page.
    pub status: u16,
}

impl Browser {
    /// A browser that has seen nothing, of a platform that listens here.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, cookie: None, page: String::new(), status: 0 }
    }

    /// Opens a path, or an address of the platform.
    pub fn open(&mut self, path: &str) -> Result<(), Failure> {
        let mut path = path.trim_start_matches(&self.origin()).to_owned();
        for _ in 0..5 {
            let answer = self.ask("GET", &path, &[])?;
            match answer.header("location") {
                Some(next) => next.clone_into(&mut path),
                None => return Ok(()),
            }
        }
        Err(format!("sent around in circles: {path}").into())
    }

    /// Sends the first form of the page, with these fields beside its hidden ones, and follows where that leads.
    pub fn send(&mut self, fields: &[(&str, &str)]) -> Result<(), Failure> {
        let form = self.page.split("</form>").next().unwrap_or_default().to_owned();
        let action =
            attribute(form.split("<form").nth(1).ok_or("a page without a form")?, "action").ok_or("no action")?;
        let hidden = form.split("<input type=\"hidden\"").skip(1);
        let hidden = hidden.filter_map(|field| Some((attribute(field, "name")?, attribute(field, "value")?)));
        let own = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let all: Vec<String> =
            hidden.chain(own).map(|(name, value)| format!("{name}={}", percent_encoded(&value))).collect();
        let answer = self.ask("POST", &action, all.join("&").as_bytes())?;
        match answer.header("location") {
            Some(next) if next.starts_with('/') => self.open(next),
            _ => Ok(()),
        }
    }

    fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Response, Failure> {
        let (host, origin) = (self.address.to_string(), self.origin());
        let mut headers = vec![("Accept", "text/html")];
        if method == "POST" {
            headers.extend([("Origin", origin.as_str()), ("Content-Type", "application/x-www-form-urlencoded")]);
        }
        if let Some(cookie) = &self.cookie {
            headers.push(("Cookie", cookie));
        }
        let answer = request(self.address, method, &host, path, &headers, body)?;
        if let Some(cookie) = answer.header("set-cookie") {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        (self.page, self.status) = (answer.text(), answer.status);
        Ok(answer)
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn attribute(element: &str, name: &str) -> Option<String> {
    let (_, rest) = element.split_once(&format!("{name}=\""))?;
    rest.split('"').next().map(|value| value.replace("&amp;", "&"))
}

fn percent_encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
