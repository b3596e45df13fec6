//! One way to write a query for both databases.
//!
//! The text is shared, with `$1` placeholders, and is a literal of this crate: no text is ever made from input. What is
//! bound is text, a whole number, or nothing of one of the two; a boolean is the number 0 or 1, in a column and as a
//! parameter. That is all the schema needs, and both databases understand it alike.
//!
//! ```text
//! sql::query("SELECT * FROM apps WHERE id = $1").bind(id.to_string()).fetch_optional(&store.readers)
//! ```

mod on;
mod row;
mod value;

use std::borrow::Cow;
use std::marker::PhantomData;

use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Postgres, Sqlite};

pub(crate) use self::on::{On, Readers, Transaction};
pub(crate) use self::row::{Column, Row};
pub(crate) use self::value::Value;

/// A statement with its parameters.
#[derive(Debug)]
pub(crate) struct Query {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// What a statement did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    rows: u64,
}

impl Done {
    /// How many rows it changed.
    pub(crate) fn rows_affected(self) -> u64 {
        self.rows
    }
}

/// A statement in the words both databases share.
pub(crate) fn query(text: &'static str) -> Query {
    Query { text: Cow::Borrowed(text), values: Vec::new() }
}

/// A statement made of names of our own schema, and of nothing else.
pub(crate) fn query_of_schema(text: String) -> Query {
    Query { text: Cow::Owned(text), values: Vec::new() }
}

/// A statement whose rows are read by their first column alone.
pub(crate) fn query_scalar<T: Column>(text: &'static str) -> Scalar<T> {
    Scalar { query: query(text), column: PhantomData }
}

/// Runs a statement wherever it is to run: four places, one call. Boxed, as whoever asks something of the store would
/// otherwise be as large as the largest of the four; beside a query an allocation is nothing.
macro_rules! on {
    ($query:ident, $on:ident, $call:ident) => {{
        $query.check()?;
        match $on.into() {
            On::SqlitePool(pool) => Box::pin($query.sqlite().$call(pool)).await?.into(),
            On::SqliteConnection(connection) => Box::pin($query.sqlite().$call(connection)).await?.into(),
            On::PostgresPool(pool) => Box::pin($query.postgres().$call(pool)).await?.into(),
            On::PostgresConnection(connection) => Box::pin($query.postgres().$call(connection)).await?.into(),
        }
    }};
}

impl Query {
    /// Binds the next parameter.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it for its effect.
    pub(crate) async fn execute(self, on: impl Into<On<'_>>) -> Result<Done, sqlx::Error> {
        Ok(on!(self, on, execute))
    }

    /// The first row; an error if there is none.
    pub(crate) async fn fetch_one(self, on: impl Into<On<'_>>) -> Result<Row, sqlx::Error> {
        Ok(on!(self, on, fetch_one))
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional(self, on: impl Into<On<'_>>) -> Result<Option<Row>, sqlx::Error> {
        let row: row::Maybe = on!(self, on, fetch_optional);
        Ok(row.0)
    }

    /// Every row.
    pub(crate) async fn fetch_all(self, on: impl Into<On<'_>>) -> Result<Vec<Row>, sqlx::Error> {
        let rows: row::Rows = on!(self, on, fetch_all);
        Ok(rows.0)
    }

    /// PostgreSQL has no text with U+0000 in it. SQLite has, so that it is refused for both alike.
    fn check(&self) -> Result<(), sqlx::Error> {
        let is_bad = |value: &Value| matches!(value, Value::Text(Some(text)) if text.contains('\0'));
        if self.values.iter().any(is_bad) {
            return Err(sqlx::Error::Encode("a text holds the character U+0000".into()));
        }
        Ok(())
    }

    // Safe: a literal of this crate, or made of the names in our own migrations.
    fn sqlite(self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        self.values.into_iter().fold(sqlx::query(AssertSqlSafe(self.text)), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        })
    }

    fn postgres(self) -> sqlx::query::Query<'static, Postgres, PgArguments> {
        self.values.into_iter().fold(sqlx::query(AssertSqlSafe(self.text)), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        })
    }
}

/// A statement read by its first column.
#[derive(Debug)]
pub(crate) struct Scalar<T> {
    query: Query,
    column: PhantomData<T>,
}

impl<T: Column> Scalar<T> {
    /// Binds the next parameter.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.query = self.query.bind(value);
        self
    }

    /// The value of the first row; an error if there is none.
    pub(crate) async fn fetch_one(self, on: impl Into<On<'_>>) -> Result<T, sqlx::Error> {
        self.query.fetch_one(on).await?.first()
    }

    /// The value of the first row, if there is one.
    pub(crate) async fn fetch_optional(self, on: impl Into<On<'_>>) -> Result<Option<T>, sqlx::Error> {
        self.query.fetch_optional(on).await?.map(|row| row.first()).transpose()
    }
}
