//! The schema is one: what SQLite and PostgreSQL made of the migrations is compared, column by column.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[macro_use]
mod support;

use std::collections::BTreeSet;

use sqlx::Connection as _;

use crate::support::Scratch;

/// Lines that say the same of either schema: columns, references, unique sets and indexes.
type Lines = BTreeSet<String>;

const SQLITE: [&str; 3] = [
    "SELECT 'column ' || t.name || '.' || c.name || ' ' || c.type || ' not null ' || (c.\"notnull\" OR c.pk > 0) || \
     ' default ' || coalesce(c.dflt_value, '-') || ' key ' || c.pk FROM sqlite_master t, pragma_table_info(t.name) c \
     WHERE t.type = 'table' AND t.name NOT LIKE '#_%' ESCAPE '#' AND t.name NOT LIKE 'sqlite%'",
    "SELECT 'reference ' || t.name || '.' || f.\"from\" || ' ' || f.\"table\" || '.' || f.\"to\" || ' ' || \
     lower(f.on_delete) FROM sqlite_master t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'",
    "SELECT 'index ' || t.name || ' (' || (SELECT group_concat(i.name, ',') FROM (SELECT name FROM \
     pragma_index_info(x.name) ORDER BY seqno) i) || ') unique ' || x.\"unique\" || ' partial ' || x.partial FROM \
     sqlite_master t, pragma_index_list(t.name) x WHERE t.type = 'table' AND x.origin <> 'pk' AND t.name NOT LIKE \
     '#_%' ESCAPE '#'",
];

const POSTGRES: [&str; 3] = [
    "SELECT 'column ' || c.relname || '.' || a.attname || ' ' || CASE WHEN a.atttypid = 'bigint'::regtype THEN \
     'INTEGER' WHEN a.atttypid = 'text'::regtype AND a.attcollation = '\"C\"'::regcollation THEN 'TEXT' ELSE \
     a.atttypid::regtype::text || ' ' || a.attcollation END || ' not null ' || a.attnotnull::int || ' default ' || \
     coalesce(pg_get_expr(d.adbin, d.adrelid), '-') || ' key ' || coalesce(array_position(k.conkey, a.attnum), 0) \
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 LEFT JOIN pg_attrdef d ON d.adrelid = \
     c.oid AND d.adnum = a.attnum LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p' WHERE c.relkind \
     = 'r' AND c.relnamespace = current_schema()::regnamespace AND c.relname NOT LIKE '#_%' ESCAPE '#'",
    "SELECT 'reference ' || c.relname || '.' || a.attname || ' ' || o.relname || '.' || b.attname || ' ' || CASE \
     k.confdeltype WHEN 'c' THEN 'cascade' WHEN 'a' THEN 'no action' ELSE k.confdeltype::text END FROM pg_constraint k \
     JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class o ON o.oid = k.confrelid JOIN pg_attribute a ON a.attrelid = \
     c.oid AND a.attnum = k.conkey[1] JOIN pg_attribute b ON b.attrelid = o.oid AND b.attnum = k.confkey[1] WHERE \
     k.contype = 'f' AND c.relnamespace = current_schema()::regnamespace",
    "SELECT 'index ' || c.relname || ' (' || (SELECT string_agg(a.attname, ',' ORDER BY array_position(i.indkey, \
     a.attnum)) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey)) || ') unique ' || \
     i.indisunique::int || ' partial ' || (i.indpred IS NOT NULL)::int FROM pg_index i JOIN pg_class c ON c.oid = \
     i.indrelid WHERE NOT i.indisprimary AND c.relnamespace = current_schema()::regnamespace AND c.relname NOT LIKE \
     '#_%' ESCAPE '#'",
];

async fn of_sqlite(file: &std::path::Path) -> Lines {
    let mut connection =
        sqlx::SqliteConnection::connect_with(&sqlx::sqlite::SqliteConnectOptions::new().filename(file)).await.unwrap();
    let mut lines = Lines::new();
    for query in SQLITE {
        let rows: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap();
        assert!(!rows.is_empty());
        lines.extend(rows);
    }
    lines
}

async fn of_postgres(options: &sqlx::postgres::PgConnectOptions) -> Lines {
    let mut connection = sqlx::PgConnection::connect_with(options).await.unwrap();
    let mut lines = Lines::new();
    for query in POSTGRES {
        let rows: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap();
        assert!(!rows.is_empty());
        lines.extend(rows);
    }
    lines
}

#[tokio::test]
async fn both_databases_have_the_same_tables_columns_and_constraints() {
    let (file, server) = (Scratch::sqlite().await, Scratch::postgres().await);
    let (store::Database::Sqlite(path), store::Database::Postgres(url)) = (&file.database, &server.database) else {
        panic!("a file and a server");
    };
    let (sqlite, postgres) = (of_sqlite(path).await, of_postgres(url).await);
    let only: Vec<_> = sqlite.symmetric_difference(&postgres).collect();
    assert!(only.is_empty(), "only one of the two has: {only:#?}");
    assert!(sqlite.contains("column accounts.email TEXT not null 1 default - key 0"), "{sqlite:#?}");
}
