//! Invitations into teams that nobody accepted yet.

use vocabulary::{AccountId, Secret, TeamId, TeamInvitationId, TeamRole, Timestamp};

use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write, hash};

/// An invitation.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Its id.
    pub id: TeamInvitationId,
    /// Into which team.
    pub team_id: TeamId,
    /// Who.
    pub account_id: AccountId,
    /// By whom.
    pub invited_by: AccountId,
    /// As what.
    pub role: TeamRole,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn invitation(row: &Row) -> Result<Invitation, Error> {
    Ok(Invitation {
        id: parsed(row, "id")?,
        team_id: parsed(row, "team_id")?,
        account_id: parsed(row, "account_id")?,
        invited_by: parsed(row, "invited_by")?,
        role: parsed(row, "role")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// An invitation to make.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// Into which team.
    pub team: TeamId,
    /// Who.
    pub account: AccountId,
    /// By whom.
    pub invited_by: AccountId,
    /// As what.
    pub role: TeamRole,
    /// What it is accepted by.
    pub token: &'a Secret,
}

/// Invites somebody; whoever was invited before is invited anew, and the token of before is worthless.
pub async fn set(write: &mut Write, new: &New<'_>) -> Result<Invitation, Error> {
    let row = sql::query(
        "INSERT INTO team_invitations (id, team_id, account_id, invited_by, role, token_hash, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7) \
         ON CONFLICT (team_id, account_id) DO UPDATE SET role = excluded.role, token_hash = excluded.token_hash, \
         invited_by = excluded.invited_by, updated_at = excluded.updated_at RETURNING *",
    )
    .bind(TeamInvitationId::new().to_string())
    .bind(new.team.to_string())
    .bind(new.account.to_string())
    .bind(new.invited_by.to_string())
    .bind(new.role.as_str())
    .bind(hash::of(new.token))
    .bind(Timestamp::now().micros())
    .fetch_one(&mut *write.transaction)
    .await?;
    invitation(&row)
}

/// The invitation of a token.
pub async fn by_token(store: &Store, token: &Secret) -> Result<Option<Invitation>, Error> {
    let row = sql::query("SELECT * FROM team_invitations WHERE token_hash = $1").bind(hash::of(token));
    row.fetch_optional(&store.readers).await?.as_ref().map(invitation).transpose()
}

/// As [`by_token`], as the write under way sees it.
pub async fn by_token_in(write: &mut Write, token: &Secret) -> Result<Option<Invitation>, Error> {
    let row = sql::query("SELECT * FROM team_invitations WHERE token_hash = $1").bind(hash::of(token));
    row.fetch_optional(&mut *write.transaction).await?.as_ref().map(invitation).transpose()
}

/// The invitations into a team, by id.
pub async fn list(store: &Store, team: TeamId) -> Result<Vec<Invitation>, Error> {
    let rows = sql::query("SELECT * FROM team_invitations WHERE team_id = $1 ORDER BY id").bind(team.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(invitation).collect()
}

/// Takes an invitation back, or forgets one that was accepted.
pub async fn delete(write: &mut Write, id: TeamInvitationId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM team_invitations WHERE id = $1").bind(id.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// Takes back what somebody invited to who may invite no longer.
pub(crate) async fn withdraw_by(write: &mut Write, team: TeamId, inviter: AccountId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM team_invitations WHERE team_id = $1 AND invited_by = $2")
        .bind(team.to_string())
        .bind(inviter.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}

/// Takes back what somebody was invited to who came in another way.
pub async fn withdraw(write: &mut Write, team: TeamId, account: AccountId) -> Result<(), Error> {
    let statement = sql::query("DELETE FROM team_invitations WHERE team_id = $1 AND account_id = $2")
        .bind(team.to_string())
        .bind(account.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(())
}
