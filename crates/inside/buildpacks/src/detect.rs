//! Which language an app is written in, by the files at its root, in Heroku's order. Knows which files mark a language,
//! not how it is built.

use std::path::Path;

/// A language of Heroku's default list, whether it is built in yet or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Ruby,
    Nodejs,
    Clojure,
    Python,
    Java,
    Gradle,
    Scala,
    Php,
    Go,
}

/// The order in which languages are asked (Heroku Dev Center, "Buildpacks"); the first match wins.
const ORDER: [Language; 9] = [
    Language::Ruby,
    Language::Nodejs,
    Language::Clojure,
    Language::Python,
    Language::Java,
    Language::Gradle,
    Language::Scala,
    Language::Php,
    Language::Go,
];

/// The language of the app in this folder.
pub(crate) fn detect(folder: &Path) -> Option<Language> {
    ORDER.into_iter().find(|language| language.is_of(folder))
}

/// A marker is a path; `*` in its last component stands for any text.
fn present(folder: &Path, marker: &str) -> bool {
    let (parent, name) = marker.rsplit_once('/').unwrap_or(("", marker));
    let Some((before, after)) = name.split_once('*') else { return folder.join(marker).exists() };
    let Ok(entries) = std::fs::read_dir(folder.join(parent)) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.len() > before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
    })
}

impl Language {
    /// Whether a file that marks it is there.
    pub(crate) fn is_of(self, folder: &Path) -> bool {
        self.markers().iter().any(|marker| present(folder, marker))
    }

    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ruby => "Ruby",
            Self::Nodejs => "Node.js",
            Self::Clojure => "Clojure",
            Self::Python => "Python",
            Self::Java => "Java",
            Self::Gradle => "Gradle",
            Self::Scala => "Scala",
            Self::Php => "PHP",
            Self::Go => "Go",
        }
    }

    /// The name of its buildpack behind `heroku/`.
    pub(crate) fn buildpack(self) -> &'static str {
        match self {
            Self::Ruby => "ruby",
            Self::Nodejs => "nodejs",
            Self::Clojure => "clojure",
            Self::Python => "python",
            Self::Java => "java",
            Self::Gradle => "gradle",
            Self::Scala => "scala",
            Self::Php => "php",
            Self::Go => "go",
        }
    }

    /// The language whose buildpack has this name.
    pub(crate) fn from_buildpack(name: &str) -> Option<Self> {
        ORDER.into_iter().find(|language| language.buildpack() == name)
    }

    /// The file people know it by.
    pub(crate) fn marker(self) -> &'static str {
        self.markers().first().copied().unwrap_or_default()
    }

    fn markers(self) -> &'static [&'static str] {
        match self {
            Self::Ruby => &["Gemfile"],
            Self::Nodejs => &["package.json"],
            Self::Clojure => &["project.clj", "deps.edn"],
            Self::Python => &[
                "requirements.txt",
                "pyproject.toml",
                "uv.lock",
                "Pipfile",
                "Pipfile.lock",
                "poetry.lock",
                "setup.py",
                "manage.py",
                "runtime.txt",
                ".python-version",
                "app.py",
                "main.py",
            ],
            Self::Java => {
                &["pom.xml", "pom.atom", "pom.clj", "pom.groovy", "pom.rb", "pom.scala", "pom.yaml", "pom.yml"]
            }
            Self::Gradle => &["gradlew", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"],
            Self::Scala => &["build.sbt", "*.sbt", "project/*.scala", "project/build.properties", ".sbt/*.scala"],
            Self::Php => &["composer.json", "index.php"],
            Self::Go => &["go.mod", "Gopkg.lock", "Godeps/Godeps.json", "vendor/vendor.json", "glide.yaml"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn the_order_table() {
        let cases: [(&[&str], Option<Language>); 15] = [
            (&["Gemfile", "package.json"], Some(Language::Ruby)),
            (&["package.json", "requirements.txt", "index.php"], Some(Language::Nodejs)),
            (&["project.clj", "pom.xml"], Some(Language::Clojure)),
            (&["requirements.txt", "pom.xml"], Some(Language::Python)),
            (&["pom.xml", "gradlew"], Some(Language::Java)),
            (&["build.gradle.kts"], Some(Language::Gradle)),
            (&["core.sbt"], Some(Language::Scala)),
            (&["project/Build.scala"], Some(Language::Scala)),
            (&["composer.json", "go.mod"], Some(Language::Php)),
            (&["index.php"], Some(Language::Php)),
            (&["go.mod"], Some(Language::Go)),
            (&["Procfile", "index.html"], None),
            (&["web/package.json"], None),
            (&[".sbt"], None),
            (&[], None),
        ];
        for (files, expected) in cases {
            assert_eq!(detect(app(files).path()), expected, "{files:?}");
        }
    }
}
