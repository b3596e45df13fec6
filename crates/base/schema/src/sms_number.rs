//! A number for messages.

use serde::Serialize;

/// `/users/{user}/sms-number`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SmsNumber {
    /// Always null: the second factor is a program, not a telephone.
    pub sms_number: Option<String>,
}
