//! Reading typed values out of rows.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use vocabulary::Timestamp;

use crate::Error;
use crate::sql::Row;

/// A text column as a parsed type.
pub(crate) fn parsed<T: FromStr>(row: &Row, column: &'static str) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| Error::Corrupt(column))
}

/// A nullable text column as a parsed type.
pub(crate) fn parsed_option<T: FromStr>(row: &Row, column: &'static str) -> Result<Option<T>, Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| text.parse().map_err(|_| Error::Corrupt(column))).transpose()
}

/// A JSON column.
pub(crate) fn json<T: DeserializeOwned>(row: &Row, column: &'static str) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|_| Error::Corrupt(column))
}

/// A time column.
pub(crate) fn time(row: &Row, column: &'static str) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_micros(row.try_get(column)?))
}

/// A nullable time column.
pub(crate) fn time_option(row: &Row, column: &'static str) -> Result<Option<Timestamp>, Error> {
    Ok(row.try_get::<Option<i64>>(column)?.map(Timestamp::from_micros))
}

/// Text of a value for a JSON column.
pub(crate) fn to_json<T: serde::Serialize>(value: &T, what: &'static str) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Corrupt(what))
}
