//! One attempt: the request, and what came of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use outbound::Target;
use schema::{Id, WebhookEventReference, WebhookMetadata, WebhookNotification};
use sha2::Sha256;
use store::deliveries::{Attempt, Delivery};
use store::events::Event;
use store::webhooks::Secrets;
use vocabulary::{Secret, Timestamp};

use crate::Webhooks;
use crate::rule::{Attempted, Outcome, after};

/// The signature: the HMAC-SHA256 of the body under the webhook's secret, in base64.
const SIGNATURE: HeaderName = HeaderName::from_static("heroku-webhook-hmac-sha256");
/// The reason of an attempt that was never made, or whose end was not seen.
pub(crate) const INTERRUPTED: Outcome = Outcome::Unanswered("Interrupted");
/// The reason where an address is refused before anybody is asked.
const REFUSED: Outcome = Outcome::Unanswered("AddressRefused");

impl Webhooks {
    /// Makes the attempt that was begun, and records its end. If that cannot be recorded, it is ended as interrupted
    /// later.
    pub(crate) async fn attempt(self, delivery: Delivery) {
        match self.outcome(&delivery).await {
            Ok(Some(outcome)) => self.end(&delivery, outcome).await,
            // The webhook was deleted, and the delivery with it.
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(delivery.id = %delivery.id, %error, "could not read what is to be delivered");
                self.end(&delivery, INTERRUPTED).await;
            }
        }
    }

    pub(crate) async fn end(&self, delivery: &Delivery, outcome: Outcome) {
        let attempted = Attempted {
            level: delivery.level,
            attempts: delivery.attempts,
            since: delivery.created_at,
            now: Timestamp::now(),
        };
        let ended = after(attempted, outcome, &self.config);
        let recorded = async {
            let mut write = self.store.write().await?;
            store::deliveries::end(&mut write, delivery.id, &ended).await?;
            write.commit().await
        };
        if let Err(error) = recorded.await {
            tracing::warn!(delivery.id = %delivery.id, %error, "could not record the end of a delivery's attempt");
        }
    }

    async fn outcome(&self, delivery: &Delivery) -> Result<Option<Outcome>, store::Error> {
        let Some((webhook, secrets)) = store::webhooks::with_secrets(&self.store, delivery.webhook_id).await? else {
            return Ok(None);
        };
        let Some(event) = store::events::get(&self.store, delivery.event_id).await? else { return Ok(None) };
        let Some(attempt) = &delivery.last_attempt else { return Ok(None) };
        let Ok(target) = Target::parse(&webhook.url, self.outbound.rules()) else { return Ok(Some(REFUSED)) };
        let body = self.body(delivery, attempt, &event);
        let headers = headers(&secrets, &body);
        Ok(Some(match self.outbound.post(&target, headers, body).await {
            Ok(status) => Outcome::Answered(status.as_u16()),
            Err(failed) => {
                tracing::debug!(delivery.id = %delivery.id, error = &failed as &dyn std::error::Error, "not delivered");
                Outcome::Unanswered(failed.class())
            }
        }))
    }

    fn body(&self, delivery: &Delivery, attempt: &Attempt, event: &Event) -> Bytes {
        let id = |id| Id { id };
        let notification = WebhookNotification {
            id: event.id.uuid(),
            payload: shapes::payload(event, &self.hosts),
            created_at: event.created_at.into(),
            updated_at: event.created_at.into(),
            webhook_metadata: WebhookMetadata {
                attempt: id(attempt.id.uuid()),
                delivery: id(delivery.id.uuid()),
                event: WebhookEventReference { id: event.id.uuid(), include: event.include.as_str() },
                webhook: id(delivery.webhook_id.uuid()),
            },
        };
        // A struct of plain fields always is JSON.
        Bytes::from(serde_json::to_vec(&notification).unwrap_or_default())
    }
}

fn headers(secrets: &Secrets, body: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("slipway-webhooks"));
    let mut put = |name, text: &str| {
        // What was taken for either fits into a header; what is base64 does.
        if let Ok(mut value) = HeaderValue::from_str(text) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    };
    if let Some(signature) = sign(&secrets.secret, body) {
        put(SIGNATURE, &signature);
    }
    if let Some(authorization) = &secrets.authorization {
        put(AUTHORIZATION, authorization.reveal());
    }
    headers
}

fn sign(secret: &Secret, body: &[u8]) -> Option<String> {
    // A key of any length will do.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).ok()?;
    mac.update(body);
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod signature {
    use super::*;

    #[test]
    fn it_is_the_published_hmac_in_base64() {
        // RFC 4231, test case 2.
        let digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let digit = |digit: &u8| u8::try_from(char::from(*digit).to_digit(16).unwrap()).unwrap();
        let bytes: Vec<u8> = digest.as_bytes().chunks(2).map(|pair| digit(&pair[0]) * 16 + digit(&pair[1])).collect();
        let signature = sign(&Secret::new("Jefe"), b"what do ya want for nothing?").unwrap();
        assert_eq!(signature, STANDARD.encode(bytes));
    }
}
