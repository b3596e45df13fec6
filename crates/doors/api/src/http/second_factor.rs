//! The second factor: codes of RFC 6238 as authenticators show them, each taken once, and recovery codes for who lost
//! theirs. The code comes in the header `Heroku-Two-Factor-Code`, or from our own page.

use std::time::Instant;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha1::Sha1;
use store::accounts::Account;
use vocabulary::{Secret, Timestamp};

use crate::http::error::{Error, Result};
use crate::http::state::State;

/// The header with a code.
const HEADER: &str = "heroku-two-factor-code";
/// How long one code is shown, in microseconds (RFC 6238, 5.2).
const STEP_MICROS: i64 = 30_000_000;
/// How many steps a clock may be wrong, either way.
const DRIFT: i64 = 1;
/// Bytes of a secret: those of the hash (RFC 4226, 4, R6).
const SECRET_BYTES: usize = 20;
/// How many recovery codes there are.
const RECOVERY_CODES: usize = 10;
/// The letters of base 32 (RFC 4648), in which authenticators take secrets.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Refuses a request for an account with a second factor unless it has a good code.
pub(crate) async fn of_request(state: &State, account: &Account, headers: &HeaderMap) -> Result<()> {
    if !account.second_factor {
        return Ok(());
    }
    match headers.get(HEADER).and_then(|code| code.to_str().ok()).filter(|code| !code.trim().is_empty()) {
        Some(code) => check(state, account, &Secret::new(code)).await,
        None => Err(Error::two_factor("A second authentication factor is required for this request.")),
    }
}

/// Takes a code of an account's authenticator, or a recovery code. Only wrong ones count against the limit.
pub(crate) async fn check(state: &State, account: &Account, code: &Secret) -> Result<()> {
    if state.codes.take(account.id, Instant::now()).is_none() {
        return Err(Error::too_many_attempts());
    }
    let secret = store::second_factors::secret(&state.store, account.id).await?;
    let code: String = code.reveal().chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    let mut write = state.store.write().await?;
    let step = secret.and_then(|secret| step_of(&secret, &code, Timestamp::now()));
    let taken = if let Some(step) = step {
        store::second_factors::take_step(&mut write, account.id, step).await?
    } else {
        let code = Secret::new(code.to_lowercase());
        store::second_factors::take_recovery_code(&mut write, account.id, &code).await?
    };
    write.commit().await?;
    if taken {
        state.codes.put_back(&account.id);
        return Ok(());
    }
    Err(Error::two_factor("That two-factor code is wrong, or was used already."))
}

/// The step whose code this is, around a moment; nothing for any other code.
pub(crate) fn step_of(secret: &Secret, code: &str, now: Timestamp) -> Option<i64> {
    let key = decoded(secret.reveal())?;
    let step = now.micros().div_euclid(STEP_MICROS);
    (step - DRIFT..=step + DRIFT).find(|step| code_at(&key, *step).as_deref() == Some(code))
}

/// The code of a secret at a moment, as an authenticator shows it.
pub(crate) fn code_at_moment(secret: &Secret, now: Timestamp) -> Option<String> {
    code_at(&decoded(secret.reveal())?, now.micros().div_euclid(STEP_MICROS))
}

/// RFC 4226, 5.3, with SHA-1 and six digits: what every authenticator can do.
fn code_at(key: &[u8], step: i64) -> Option<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).ok()?;
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash.last()? & 0xf);
    let bits = u32::from_be_bytes(*hash.get(offset..)?.first_chunk()?) & 0x7fff_ffff;
    Some(format!("{:06}", bits % 1_000_000))
}

/// A new secret, in base 32.
pub(crate) fn new_secret() -> Result<Secret> {
    Ok(Secret::new(encoded(&random::<SECRET_BYTES>()?)))
}

/// New recovery codes, each of 80 bits: `abcd-efgh-ijkl-mnop`.
pub(crate) fn new_recovery_codes() -> Result<Vec<Secret>> {
    let code = || Ok(Secret::new(encoded(&random::<10>()?).to_lowercase()));
    (0..RECOVERY_CODES).map(|_| code()).collect()
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| Error::broken())?;
    Ok(bytes)
}

/// Base 32 without padding, of a multiple of five bytes.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(5) {
        let bits = chunk.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            let letter = usize::try_from(bits >> (5 * place) & 31).unwrap_or_default();
            text.push(char::from(LETTERS[letter]));
        }
    }
    text
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![];
    for chunk in text.as_bytes().chunks(8) {
        let mut bits = 0_u64;
        for letter in chunk {
            let value = LETTERS.iter().position(|known| known == letter)?;
            bits = bits << 5 | u64::try_from(value).ok()?;
        }
        bytes.extend_from_slice(bits.to_be_bytes().get(3..)?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, the last six of its eight digits.
        let key = b"12345678901234567890";
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(code_at(key, seconds / 30).as_deref(), Some(code));
        }
        assert_eq!(encoded(key), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(decoded("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").as_deref(), Some(key.as_slice()));
    }

    #[test]
    fn a_code_is_good_half_a_minute_around_its_own() {
        let secret = new_secret().unwrap();
        let now = Timestamp::from_micros(1_000_000 * STEP_MICROS + 1);
        let code = code_at_moment(&secret, now).unwrap();
        let at = |steps: i64| step_of(&secret, &code, Timestamp::from_micros(now.micros() + steps * STEP_MICROS));
        assert_eq!((at(0), at(1), at(-1)), (Some(1_000_000), Some(1_000_000), Some(1_000_000)));
        assert_eq!((at(2), at(-2)), (None, None));
        assert_eq!(step_of(&secret, "", now), None);
    }

    #[test]
    fn recovery_codes_are_long_and_differ() {
        let codes = new_recovery_codes().unwrap();
        assert!(codes.iter().all(|code| code.reveal().len() == 16));
        assert!(codes.iter().enumerate().all(|(at, code)| !codes[..at].contains(code)));
    }
}
