//! Every statement in the sources is prepared against both databases, whether a story runs it or not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[macro_use]
mod support;

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, Either, Executor as _, SqlSafeStr as _, Statement as _, TypeInfo as _};
use store::Database;

use crate::support::Scratch;

/// Speaks to one database by itself, or makes statements of names of the schema.
const OWN_WORDS: [&str; 5] = ["about.rs", "copy.rs", "migrations.rs", "postgres.rs", "sqlite.rs"];

/// A literal of a source, and what stands before it.
struct Literal {
    before: String,
    text: String,
}

/// The literals of a source. It knows comments, escapes and the quote as a character, which is all our sources hold.
fn literals(source: &str) -> Vec<Literal> {
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let code = code.replace("'\"'", "' '");
    let (mut found, mut before) = (Vec::new(), String::new());
    let mut characters = code.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '"' {
            let text = literal(&mut characters);
            found.push(Literal { before: std::mem::take(&mut before), text });
        } else {
            before.push(character);
        }
    }
    found
}

/// The rest of a literal, whose first quote was read.
fn literal(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut text = String::new();
    loop {
        match characters.next().unwrap() {
            '"' => return text,
            '\\' => match characters.next().unwrap() {
                '\n' => while characters.next_if(|character| character.is_whitespace()).is_some() {},
                'n' => text.push('\n'),
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}

fn is_statement(text: &str) -> bool {
    ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "].iter().any(|word| text.starts_with(word))
}

/// The statements of a source. What its `select!` begins with is put before what it is given.
fn statements(source: &str) -> Vec<String> {
    let mut head = String::new();
    let mut in_macro = false;
    let mut found = Vec::new();
    for Literal { before, text } in literals(source) {
        in_macro = before.contains("macro_rules! select") || (in_macro && !before.contains("$rest"));
        if in_macro {
            head.push_str(&text);
        } else if before.trim_end().ends_with("select!(") {
            found.push(format!("{head}{text}"));
        } else if is_statement(&text) {
            found.push(text);
        }
    }
    found
}

fn all() -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_file() && !OWN_WORDS.contains(&name) {
            let source = std::fs::read_to_string(&path).unwrap();
            let (found, calls) = (statements(&source), source.matches("sql::query").count());
            // The import is no call; a loop over a list of statements is one call for several of them.
            assert!(found.len() + 2 >= calls, "{name}: {} statements for {calls} calls", found.len());
            all.extend(found);
        }
    }
    all
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_sqlite() {
    let scratch = Scratch::sqlite().await;
    let Database::Sqlite(file) = &scratch.database else { panic!("a file") };
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let all = all();
    assert!(all.len() > 100, "{} statements", all.len());
    for statement in all {
        let prepared = (&mut connection).prepare(AssertSqlSafe(statement.clone()).into_sql_str()).await;
        assert!(prepared.is_ok(), "{statement}\n{prepared:?}");
    }
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_postgres_and_speaks_of_text_and_numbers() {
    let scratch = Scratch::postgres().await;
    let Database::Postgres(url) = &scratch.database else { panic!("a server") };
    let mut connection = sqlx::PgConnection::connect_with(url).await.unwrap();
    let mut wrong = Vec::new();
    for statement in all() {
        let prepared = (&mut connection).prepare(AssertSqlSafe(statement.clone()).into_sql_str()).await;
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                wrong.push(format!("{statement}\n  {error}"));
                continue;
            }
        };
        let Some(Either::Left(parameters)) = prepared.parameters() else { panic!("{statement}: which parameters?") };
        let binds = parameters.iter().filter(|kind| !["TEXT", "INT8"].contains(&kind.name()));
        wrong.extend(binds.map(|kind| format!("{statement}\n  binds {kind}")));
        let columns = prepared.columns().iter().map(sqlx::Column::type_info);
        let answers = columns.filter(|kind| !["TEXT", "INT8", "INT4", "BOOL"].contains(&kind.name()));
        wrong.extend(answers.map(|kind| format!("{statement}\n  answers {kind}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn statements_are_found_where_they_are() {
    let source = r#"
        // "SELECT no comment"
        macro_rules! select { ($rest:literal) => { concat!("SELECT a ", "FROM b ", $rest) }; }
        sql::query(select!("WHERE c = $1"));
        let quote = '"';
        for s in ["DELETE FROM x", "UPDATE y \
            SET z = '\"'"] {}
        format!("not {quote}");
    "#;
    assert_eq!(statements(source), ["SELECT a FROM b WHERE c = $1", "DELETE FROM x", "UPDATE y SET z = '\"'"]);
}
