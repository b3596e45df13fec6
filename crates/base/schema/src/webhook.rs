//! Webhooks, their deliveries and events.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Id, Named, Time, User};

/// A webhook.
#[derive(Debug, Clone, Serialize)]
pub struct Webhook {
    /// Its id.
    pub id: Uuid,
    /// Of which app.
    pub app: Named,
    /// What it is told of: `api:release`.
    pub include: Vec<&'static str>,
    /// `notify`: one attempt, or `sync`: until one succeeds.
    pub level: &'static str,
    /// Where it is told.
    pub url: String,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// One event for one webhook.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookDelivery {
    /// Its id.
    pub id: Uuid,
    /// What is told.
    pub event: WebhookEventReference,
    /// The last attempt, if there was one.
    pub last_attempt: Option<WebhookAttempt>,
    /// When the next one is due, if there will be one.
    pub next_attempt_at: Option<Time>,
    /// How many there were.
    pub num_attempts: i64,
    /// `pending`, `scheduled`, `retrying`, `failed`, `succeeded`.
    pub status: &'static str,
    /// To whom.
    pub webhook: WebhookReference,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// How others show an event.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookEventReference {
    /// Its id.
    pub id: Uuid,
    /// As what webhooks ask for it.
    pub include: &'static str,
}

/// How others show a webhook.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookReference {
    /// Its id.
    pub id: Uuid,
    /// How often a delivery to it is tried.
    pub level: &'static str,
}

/// One try at a delivery.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookAttempt {
    /// Its id.
    pub id: Uuid,
    /// The status that was answered.
    pub code: Option<u16>,
    /// Why there was no answer.
    pub error_class: Option<String>,
    /// `scheduled`, `succeeded`, `failed`.
    pub status: &'static str,
    /// When it began.
    pub created_at: Time,
    /// When it ended.
    pub updated_at: Time,
}

/// An event.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookEvent {
    /// Its id.
    pub id: Uuid,
    /// As what webhooks ask for it.
    pub include: &'static str,
    /// What happened.
    pub payload: WebhookPayload,
    /// When.
    pub created_at: Time,
    /// The same.
    pub updated_at: Time,
}

/// What happened.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookPayload {
    /// `create`, `update`, `destroy`.
    pub action: &'static str,
    /// Who did it.
    pub actor: User,
    /// The resource after it.
    pub data: Value,
    /// Of an update, the fields it changed as they were before.
    pub previous_data: Value,
    /// When.
    pub published_at: Time,
    /// `release`.
    pub resource: &'static str,
    /// Grows with age.
    pub sequence: i64,
    /// Of the resource's form.
    pub version: &'static str,
}

/// The body of a delivery.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookNotification {
    /// The event's id.
    pub id: Uuid,
    /// What happened.
    #[serde(flatten)]
    pub payload: WebhookPayload,
    /// When.
    pub created_at: Time,
    /// The same.
    pub updated_at: Time,
    /// As which of many.
    pub webhook_metadata: WebhookMetadata,
}

/// Which delivery a body is of.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookMetadata {
    /// The try; another one has another id.
    pub attempt: Id,
    /// The delivery.
    pub delivery: Id,
    /// The event.
    pub event: WebhookEventReference,
    /// The webhook.
    pub webhook: Id,
}
