//! Second factors: the sealed secret codes are made from, the last code that was taken, and recovery codes by their
//! hashes.

use vocabulary::{AccountId, Secret, Timestamp};

use crate::sql;
use crate::{Error, Store, Write, hash};

fn context(account: AccountId) -> String {
    format!("second_factors.secret/{account}")
}

/// Turns the second factor on, with new recovery codes; what was there before is replaced.
pub async fn set(
    write: &mut Write,
    account: AccountId,
    secret: &Secret,
    last_step: i64,
    recovery_codes: &[Secret],
) -> Result<(), Error> {
    remove(write, account).await?;
    sql::query("INSERT INTO second_factors (account_id, secret, last_step, created_at) VALUES ($1, $2, $3, $4)")
        .bind(account.to_string())
        .bind(write.key.seal(&context(account), secret)?)
        .bind(last_step)
        .bind(Timestamp::now().micros())
        .execute(&mut *write.transaction)
        .await?;
    for code in recovery_codes {
        sql::query("INSERT INTO recovery_codes (account_id, code_hash) VALUES ($1, $2)")
            .bind(account.to_string())
            .bind(hash::of(code))
            .execute(&mut *write.transaction)
            .await?;
    }
    Ok(())
}

/// Turns it off.
pub async fn remove(write: &mut Write, account: AccountId) -> Result<(), Error> {
    for statement in
        ["DELETE FROM second_factors WHERE account_id = $1", "DELETE FROM recovery_codes WHERE account_id = $1"]
    {
        sql::query(statement).bind(account.to_string()).execute(&mut *write.transaction).await?;
    }
    Ok(())
}

/// The secret, if the factor is on.
pub async fn secret(store: &Store, account: AccountId) -> Result<Option<Secret>, Error> {
    let row = sql::query("SELECT secret FROM second_factors WHERE account_id = $1").bind(account.to_string());
    let Some(row) = row.fetch_optional(&store.readers).await? else { return Ok(None) };
    Ok(Some(store.key.open(&context(account), &row.try_get::<String>("secret")?)?))
}

/// Takes the code of a step; refuses if that or a later one was taken before.
pub async fn take_step(write: &mut Write, account: AccountId, step: i64) -> Result<bool, Error> {
    let statement = sql::query("UPDATE second_factors SET last_step = $2 WHERE account_id = $1 AND last_step < $2");
    let done = statement.bind(account.to_string()).bind(step).execute(&mut *write.transaction).await?;
    Ok(done.rows_affected() == 1)
}

/// Takes a recovery code; refuses one that is unknown or used up.
pub async fn take_recovery_code(write: &mut Write, account: AccountId, code: &Secret) -> Result<bool, Error> {
    let statement = sql::query("DELETE FROM recovery_codes WHERE account_id = $1 AND code_hash = $2");
    let done = statement.bind(account.to_string()).bind(hash::of(code)).execute(&mut *write.transaction).await?;
    Ok(done.rows_affected() == 1)
}

/// How many recovery codes are left.
pub async fn recovery_codes_left(store: &Store, account: AccountId) -> Result<i64, Error> {
    let count = sql::query_scalar("SELECT count(*) FROM recovery_codes WHERE account_id = $1");
    Ok(count.bind(account.to_string()).fetch_one(&store.readers).await?)
}
