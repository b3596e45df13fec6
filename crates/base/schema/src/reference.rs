//! How one resource names another.

use serde::Serialize;
use uuid::Uuid;

/// By id alone.
#[derive(Debug, Clone, Serialize)]
pub struct Id {
    /// Its id.
    pub id: Uuid,
}

/// By id and name.
#[derive(Debug, Clone, Serialize)]
pub struct Named {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
}

/// A release, by id and number.
#[derive(Debug, Clone, Serialize)]
pub struct Numbered {
    /// Its id.
    pub id: Uuid,
    /// Its number within the app.
    pub version: i64,
}

/// A user, by id and email.
#[derive(Debug, Clone, Serialize)]
pub struct User {
    /// The account's id.
    pub id: Uuid,
    /// The account's email.
    pub email: String,
}

/// A team, by id and name.
pub type Team = Named;
