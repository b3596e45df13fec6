//! The schema, and how it comes to a database.
//!
//! The files of `migrations/` are written once, in words SQLite knows, and hold no more than: `TEXT` and `INTEGER`
//! columns, keys, `UNIQUE`, `REFERENCES`, `DEFAULT`, indexes. For PostgreSQL two words are exchanged, because the same
//! word means less there:
//!
//! | written | for PostgreSQL | why |
//! | --- | --- | --- |
//! | `INTEGER` | `BIGINT` | 4 bytes hold no time in microseconds |
//! | `TEXT` | `TEXT COLLATE "C"` | rows come back in the same order from both, whatever the server's language |

use std::sync::LazyLock;

use sqlx::migrate::{Migration, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

/// For SQLite: as written.
pub(crate) static SQLITE: Migrator = sqlx::migrate!("../../../migrations");

/// For PostgreSQL.
pub(crate) static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| {
    let migrations = SQLITE.iter().map(|migration| {
        Migration::new(
            migration.version,
            migration.description.clone(),
            migration.migration_type,
            // Made of a text that is part of the program.
            AssertSqlSafe(for_postgres(migration.sql.as_str())).into_sql_str(),
            migration.no_tx,
        )
    });
    Migrator::with_migrations(migrations.collect())
});

/// Exchanges the words; comments are left as they are.
fn for_postgres(text: &str) -> String {
    let line = |line: &str| match line.split_once("--") {
        Some((code, comment)) => format!("{}--{comment}", exchanged(code)),
        None => exchanged(line),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn exchanged(code: &str) -> String {
    let words = code.split_inclusive(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    let word = |word: &str| {
        let bare = word.trim_end_matches(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        match bare {
            "INTEGER" => word.replacen("INTEGER", "BIGINT", 1),
            "TEXT" => word.replacen("TEXT", "TEXT COLLATE \"C\"", 1),
            _ => word.to_owned(),
        }
    };
    words.map(word).collect()
}

/// The versions and checksums a database of this program has.
pub(crate) fn applied_by(migrator: &Migrator) -> Vec<(i64, Vec<u8>)> {
    migrator.iter().map(|migration| (migration.version, migration.checksum.to_vec())).collect()
}

/// What a database says was applied to it.
pub(crate) const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_are_exchanged_and_comments_left() {
        assert_eq!(
            for_postgres("    at INTEGER NOT NULL, note TEXT, -- an INTEGER\n    id INTEGER, CONTEXT x, TEXT_ y"),
            "    at BIGINT NOT NULL, note TEXT COLLATE \"C\", -- an INTEGER\n    id BIGINT, CONTEXT x, TEXT_ y"
        );
    }

    #[test]
    fn the_files_hold_nothing_only_one_database_knows() {
        for migration in SQLITE.iter() {
            for word in ["AUTOINCREMENT", "WITHOUT ROWID", "STRICT", "BOOLEAN", "SERIAL", "BLOB", "JSON ", "now()"] {
                let code = migration.sql.as_str().lines().map(|line| line.split("--").next().unwrap_or_default());
                assert!(!code.into_iter().any(|line| line.contains(word)), "{word} in migration {}", migration.version);
            }
        }
    }
}
