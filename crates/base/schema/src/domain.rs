//! A domain.

use serde::Serialize;
use uuid::Uuid;

use crate::{Named, Time};

/// A host name of an app.
#[derive(Debug, Clone, Serialize)]
pub struct Domain {
    /// Its id.
    pub id: Uuid,
    /// Of which app.
    pub app: Named,
    /// The name.
    pub hostname: String,
    /// `heroku` or `custom`.
    pub kind: &'static str,
    /// Where its DNS record is to point.
    pub cname: Option<String>,
    /// How its managed certificate stands.
    pub acm_status: Option<String>,
    /// Why.
    pub acm_status_reason: Option<String>,
    /// The certificate it answers with.
    pub sni_endpoint: Option<Named>,
    /// `none`, `pending`, `succeeded`.
    pub status: &'static str,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}
