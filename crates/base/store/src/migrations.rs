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
//!
//! Every file after the first only adds: tables, indexes that are not unique, columns that may be missing or have a
//! default. So a program also works with the schema of one that came after it, which is what an upgrade that fails
//! behind its migration goes back by ([`serves`]).

use std::sync::LazyLock;

use sqlx::migrate::{Migration, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

/// For SQLite: as written.
pub(crate) static SQLITE: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("../../../migrations");
    // What a later program added; `serves` looks whether it stands behind all of ours.
    migrator.set_ignore_missing(true);
    migrator
});

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
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.set_ignore_missing(true);
    migrator
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

/// The versions and checksums of the steps that were taken in a database, in their order.
pub(crate) type Applied = Vec<(i64, Vec<u8>)>;

/// Whether a database with these steps is one to work with.
pub(crate) type Good = fn(&Applied, &Migrator) -> bool;

fn applied_by(migrator: &Migrator) -> Applied {
    migrator.iter().map(|migration| (migration.version, migration.checksum.to_vec())).collect()
}

/// It has every step of ours, and behind them perhaps those of later programs, which only add.
pub(crate) fn serves(applied: &Applied, ours: &Migrator) -> bool {
    applied.starts_with(&applied_by(ours))
}

/// It has our steps and no other.
pub(crate) fn is_ours(applied: &Applied, ours: &Migrator) -> bool {
    *applied == applied_by(ours)
}

/// It serves, or will when the rest of our steps are taken.
pub(crate) fn can_serve(applied: &Applied, ours: &Migrator) -> bool {
    serves(applied, ours) || applied_by(ours).starts_with(applied)
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

    /// The statements of a migration that do more than add.
    fn more_than_adding(text: &str) -> Vec<String> {
        let code: Vec<&str> = text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
        let code = code.join(" ");
        let statements = code.split(';').map(|one| one.split_whitespace().collect::<Vec<_>>().join(" "));
        let adds = |one: &str| {
            let may_be_missing = !one.contains("NOT NULL") || one.contains(" DEFAULT ");
            one.is_empty()
                || one.starts_with("CREATE TABLE ")
                || one.starts_with("CREATE INDEX ")
                || (one.starts_with("ALTER TABLE ")
                    && one.contains(" ADD COLUMN ")
                    && may_be_missing
                    && !one.contains(" UNIQUE"))
        };
        statements.filter(|one| !adds(one)).collect()
    }

    #[test]
    fn every_file_after_the_first_only_adds() {
        let good = "-- why; how\nCREATE TABLE a (id TEXT NOT NULL);\nALTER TABLE apps ADD COLUMN note TEXT;\n\
                    ALTER TABLE apps ADD COLUMN n INTEGER NOT NULL DEFAULT 0;\nCREATE INDEX a_id ON a (id);";
        assert_eq!(more_than_adding(good), Vec::<String>::new());
        for bad in [
            "ALTER TABLE apps ADD COLUMN note TEXT NOT NULL",
            "ALTER TABLE apps RENAME COLUMN name TO title",
            "ALTER TABLE apps DROP COLUMN name",
            "DROP TABLE apps",
            "UPDATE apps SET name = 'a'",
            "CREATE UNIQUE INDEX one_name ON apps (name)",
        ] {
            assert_eq!(more_than_adding(bad), [bad]);
        }
        for migration in SQLITE.iter().skip(1) {
            assert_eq!(
                more_than_adding(migration.sql.as_str()),
                Vec::<String>::new(),
                "migration {}",
                migration.version
            );
        }
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
