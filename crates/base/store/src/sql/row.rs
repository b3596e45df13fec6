//! What comes back.

use sqlx::postgres::{PgQueryResult, PgRow};
use sqlx::sqlite::{SqliteQueryResult, SqliteRow};
use sqlx::{Column as _, Row as _, TypeInfo as _, ValueRef as _};

use super::{Done, Value};

/// A row of either database.
pub(crate) enum Row {
    /// Of SQLite.
    Sqlite(SqliteRow),
    /// Of PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// A column by its name. Fails if there is none, or if it holds something else.
    pub(crate) fn try_get<T: Column>(&self, name: &str) -> Result<T, sqlx::Error> {
        T::read(self, name)
    }

    /// The first column.
    pub(super) fn first<T: Column>(&self) -> Result<T, sqlx::Error> {
        T::read(self, 0)
    }

    /// Every column by its name, as it can be bound again.
    pub(crate) fn values(&self) -> Result<Vec<(String, Value)>, sqlx::Error> {
        let columns: Vec<(String, bool)> = match self {
            Self::Sqlite(row) => row.columns().iter().map(|it| named(it.name(), it.type_info().name())).collect(),
            Self::Postgres(row) => row.columns().iter().map(|it| named(it.name(), it.type_info().name())).collect(),
        };
        let value = |(place, (name, is_text)): (usize, (String, bool))| {
            let value = if is_text { Value::Text(self.text(place)?) } else { Value::Number(self.number(place)?) };
            Ok((name, value))
        };
        columns.into_iter().enumerate().map(value).collect()
    }

    fn text<I: Index>(&self, column: I) -> Result<Option<String>, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    fn number<I: Index>(&self, column: I) -> Result<Option<i64>, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => postgres_number(row, column),
        }
    }
}

fn named(name: &str, kind: &str) -> (String, bool) {
    (name.to_owned(), kind == "TEXT")
}

/// PostgreSQL gives `EXISTS (…)` and a literal in a result types of their own; in SQLite both are whole numbers.
fn postgres_number<I: Index>(row: &PgRow, column: I) -> Result<Option<i64>, sqlx::Error> {
    let kind = row.try_get_raw(column)?.type_info().name().to_owned();
    match kind.as_str() {
        "BOOL" => Ok(row.try_get::<Option<bool>, _>(column)?.map(i64::from)),
        "INT4" => Ok(row.try_get::<Option<i32>, _>(column)?.map(i64::from)),
        _ => row.try_get(column),
    }
}

/// A column's place: its name, or its number.
pub(crate) trait Index:
    Copy + sqlx::ColumnIndex<SqliteRow> + sqlx::ColumnIndex<PgRow> + std::fmt::Debug
{
}

impl<T: Copy + sqlx::ColumnIndex<SqliteRow> + sqlx::ColumnIndex<PgRow> + std::fmt::Debug> Index for T {}

/// What a column can be read as.
pub(crate) trait Column: Sized {
    /// Reads it.
    fn read<I: Index>(row: &Row, column: I) -> Result<Self, sqlx::Error>;
}

fn present<T>(value: Option<T>, column: impl Index) -> Result<T, sqlx::Error> {
    let null = || sqlx::Error::ColumnDecode { index: format!("{column:?}"), source: "it is null".into() };
    value.ok_or_else(null)
}

impl Column for Option<String> {
    fn read<I: Index>(row: &Row, column: I) -> Result<Self, sqlx::Error> {
        row.text(column)
    }
}

impl Column for String {
    fn read<I: Index>(row: &Row, column: I) -> Result<Self, sqlx::Error> {
        present(row.text(column)?, column)
    }
}

impl Column for Option<i64> {
    fn read<I: Index>(row: &Row, column: I) -> Result<Self, sqlx::Error> {
        row.number(column)
    }
}

impl Column for i64 {
    fn read<I: Index>(row: &Row, column: I) -> Result<Self, sqlx::Error> {
        present(row.number(column)?, column)
    }
}

impl Column for bool {
    fn read<I: Index>(row: &Row, column: I) -> Result<Self, sqlx::Error> {
        Ok(i64::read(row, column)? != 0)
    }
}

macro_rules! narrower {
    ($($number:ty),*) => {$(
        impl Column for $number {
            fn read<I: Index>(row: &Row, column: I) -> Result<Self, sqlx::Error> {
                let number = i64::read(row, column)?;
                let outside = |error| sqlx::Error::ColumnDecode {
                    index: format!("{column:?}"),
                    source: Box::<dyn std::error::Error + Send + Sync>::from(error),
                };
                <$number>::try_from(number).map_err(|error: std::num::TryFromIntError| outside(error))
            }
        }
    )*};
}

narrower!(u16, i32, u32, u64);

/// At most one row, of either database.
pub(super) struct Maybe(pub(super) Option<Row>);

/// Rows of either database.
pub(super) struct Rows(pub(super) Vec<Row>);

macro_rules! come_back {
    ($row:ty, $variant:ident, $done:ty) => {
        impl From<$row> for Row {
            fn from(row: $row) -> Self {
                Self::$variant(row)
            }
        }

        impl From<Option<$row>> for Maybe {
            fn from(row: Option<$row>) -> Self {
                Self(row.map(Row::$variant))
            }
        }

        impl From<Vec<$row>> for Rows {
            fn from(rows: Vec<$row>) -> Self {
                Self(rows.into_iter().map(Row::$variant).collect())
            }
        }

        impl From<$done> for Done {
            fn from(done: $done) -> Self {
                Self { rows: done.rows_affected() }
            }
        }
    };
}

come_back!(SqliteRow, Sqlite, SqliteQueryResult);
come_back!(PgRow, Postgres, PgQueryResult);
