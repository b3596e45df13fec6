//! The record from one database into another: whole or not at all.

use std::collections::BTreeSet;

use crate::seal::SealKey;
use crate::sql::{self, Transaction};
use crate::{Database, Error, Store, migrations};

/// Rows that are held in memory at a time.
const PAGE: i64 = 500;

/// A table that was copied, and how many rows it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: i64,
}

/// Copies every table of `from` into `to`, tables that others refer to first. What is read is one moment of `from`, and
/// nobody writes there meanwhile; where a control runs on either, it is refused ([`Error::Owned`]). What is written is one
/// transaction of `to`, which must hold no row. The schema of `from` must be that of this program
/// ([`Error::OtherVersion`]); that of `to` is made.
///
/// Sealed columns are copied as they are: the same key opens them.
pub async fn copy(from: &Database, to: &Database) -> Result<Vec<Copied>, Error> {
    // Neither seals nor opens: any key will do.
    let source = Store::take_over_at(from, SealKey::generate()).await?;
    let mut source = source.write().await?;
    let target = Store::open_at(to, SealKey::generate()).await?;
    let mut target = target.write().await?;
    let tables = tables();
    for table in &tables {
        if count(&mut target.transaction, table).await? > 0 {
            return Err(Error::NotEmpty);
        }
    }
    let mut copied = Vec::new();
    for table in tables {
        let rows = copy_table(&mut source.transaction, &mut target.transaction, &table).await?;
        copied.push(Copied { table, rows });
    }
    target.commit().await?;
    Ok(copied)
}

/// The tables in the order they are made in, in which a table stands after those it refers to.
pub(crate) fn tables() -> Vec<String> {
    let lines = migrations::SQLITE.iter().flat_map(|migration| migration.sql.as_str().lines());
    let mut seen = BTreeSet::new();
    let names = lines.filter_map(|line| line.strip_prefix("CREATE TABLE ")?.split([' ', '(']).next());
    names.filter(|name| seen.insert((*name).to_owned())).map(str::to_owned).collect()
}

async fn count(on: &mut Transaction, table: &str) -> Result<i64, Error> {
    let row = sql::query_of_schema(format!("SELECT count(*) AS n FROM {table}")).fetch_one(on).await?;
    Ok(row.try_get("n")?)
}

/// The places of columns among which the primary key is: pages must not overlap.
fn key(table: &str) -> &'static str {
    match table {
        "runtimes" => "1, 2, 3",
        _ => "1, 2",
    }
}

async fn copy_table(source: &mut Transaction, target: &mut Transaction, table: &str) -> Result<i64, Error> {
    let mut done = 0;
    loop {
        let page = format!("SELECT * FROM {table} ORDER BY {} LIMIT $1 OFFSET $2", key(table));
        let rows = sql::query_of_schema(page).bind(PAGE).bind(done).fetch_all(&mut *source).await?;
        for row in &rows {
            let values = row.values()?;
            let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
            let places: Vec<String> = (1..=values.len()).map(|place| format!("${place}")).collect();
            let insert = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), places.join(", "));
            let insert = values.into_iter().fold(sql::query_of_schema(insert), |query, (_, value)| query.bind(value));
            insert.execute(&mut *target).await?;
            done += 1;
        }
        if rows.is_empty() {
            break;
        }
    }
    let (there, here) = (count(source, table).await?, count(target, table).await?);
    if there == here && here == done { Ok(done) } else { Err(Error::Corrupt("copy")) }
}
