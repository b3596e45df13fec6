//! Which lines a reader wants.

use loglines::Source;

/// Which lines a reader wants; all given parts must match.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Who says it.
    pub source: Option<Source>,
    /// A dyno (`web.1`) or a process type (`web`).
    pub dyno: Option<String>,
}

impl Filter {
    /// Whether a line of this source and dyno passes.
    #[must_use]
    pub fn passes(&self, source: Source, dyno: &str) -> bool {
        self.source.is_none_or(|wanted| wanted == source)
            && self.dyno.as_ref().is_none_or(|wanted| {
                dyno.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dyno_a_type_and_a_source_are_matched() {
        let filter = |source, dyno: Option<&str>| Filter { source, dyno: dyno.map(str::to_owned) };
        for (filter, passes) in [
            (filter(None, None), true),
            (filter(None, Some("web.1")), true),
            (filter(None, Some("web")), true),
            (filter(Some(Source::App), Some("web")), true),
            (filter(None, Some("we")), false),
            (filter(None, Some("web.")), false),
            (filter(None, Some("web.10")), false),
            (filter(None, Some("worker")), false),
            (filter(Some(Source::Heroku), None), false),
        ] {
            assert_eq!(filter.passes(Source::App, "web.1"), passes, "{filter:?}");
        }
        assert!(!filter(None, Some("web.1")).passes(Source::App, "web.12"));
    }
}
