//! Everything a store holds, as lines.

use std::collections::BTreeSet;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Column, Connection, Row, TypeInfo, ValueRef};

/// A table's name and one row of it, in the order of its columns.
pub(crate) type Line = (String, Vec<String>);

/// All rows of all tables, in an order of their own; a file that is not sound fails the test.
pub(crate) async fn dump(folder: &Path) -> Vec<Line> {
    let options = SqliteConnectOptions::new().filename(folder.join("slipway.db")).foreign_keys(true);
    let mut store = SqliteConnection::connect_with(&options).await.unwrap();
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut store).await.unwrap();
    assert_eq!(sound, "ok");
    let dangling = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut store).await.unwrap();
    assert!(dangling.is_empty(), "{} rows refer to none", dangling.len());
    let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let tables: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut store).await.unwrap();
    let mut lines = Vec::new();
    for table in tables {
        let query = sqlx::AssertSqlSafe(format!("SELECT * FROM {table}"));
        for row in sqlx::query(query).fetch_all(&mut store).await.unwrap() {
            let values = row.columns().iter().map(|column| value(&row, column.ordinal()));
            lines.push((table.clone(), values.collect()));
        }
    }
    store.close().await.unwrap();
    lines.sort();
    lines
}

fn value(row: &sqlx::sqlite::SqliteRow, at: usize) -> String {
    let raw = row.try_get_raw(at).unwrap();
    if raw.is_null() {
        return "NULL".to_owned();
    }
    match raw.type_info().name() {
        "INTEGER" | "BOOLEAN" => row.get_unchecked::<i64, _>(at).to_string(),
        "BLOB" => format!("{:?}", row.get_unchecked::<Vec<u8>, _>(at)),
        _ => row.get_unchecked::<String, _>(at),
    }
}

/// The lines without what is new by nature: ids, moments, numbers that are drawn, secrets and what was sealed, if
/// `before` has them nowhere.
/// Two runs of one request come to the same.
pub(crate) fn without_novelties(lines: &[Line], before: &[Line]) -> Vec<Line> {
    let known: BTreeSet<&String> = before.iter().flat_map(|(_, values)| values).collect();
    let plain = |value: &String| {
        let is_drawn = value.parse::<i64>().is_ok_and(|number| number >= 1000);
        let is_long = value.len() >= 20 && !value.contains(' ');
        if !known.contains(value) && (is_drawn || is_long) { "<new>".to_owned() } else { value.clone() }
    };
    let mut plain: Vec<Line> =
        lines.iter().map(|(table, values)| (table.clone(), values.iter().map(plain).collect())).collect();
    plain.sort();
    plain
}
