//! Who is in which team. A team that has members has an admin among them.

use vocabulary::{AccountId, TeamId, TeamMemberId, TeamRole, Timestamp};

use crate::row::{parsed, time};
use crate::sql::{self, Row};
use crate::{Error, Store, Write, collaborators, team_invitations};

/// Somebody's place in a team.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its id.
    pub id: TeamMemberId,
    /// Which team.
    pub team_id: TeamId,
    /// Who.
    pub account_id: AccountId,
    /// As what.
    pub role: TeamRole,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn member(row: &Row) -> Result<Member, Error> {
    Ok(Member {
        id: parsed(row, "id")?,
        team_id: parsed(row, "team_id")?,
        account_id: parsed(row, "account_id")?,
        role: parsed(row, "role")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// Takes somebody in, or changes their role. Answers nothing, changing nothing, if the team were left without an
/// admin.
pub async fn set(write: &mut Write, team: TeamId, account: AccountId, role: TeamRole) -> Result<Option<Member>, Error> {
    if role != TeamRole::Admin && is_last_admin(write, team, account).await? {
        return Ok(None);
    }
    let row = sql::query(
        "INSERT INTO team_members (id, team_id, account_id, role, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $5) \
         ON CONFLICT (team_id, account_id) DO UPDATE SET role = excluded.role, updated_at = excluded.updated_at \
         RETURNING *",
    )
    .bind(TeamMemberId::new().to_string())
    .bind(team.to_string())
    .bind(account.to_string())
    .bind(role.as_str())
    .bind(Timestamp::now().micros())
    .fetch_one(&mut *write.transaction)
    .await?;
    if role != TeamRole::Admin {
        team_invitations::withdraw_by(write, team, account).await?;
    }
    member(&row).map(Some)
}

/// Takes somebody out of a team, and with that out of all its apps. Answers false, changing nothing, if the team were
/// left without an admin.
pub async fn remove(write: &mut Write, team: TeamId, account: AccountId) -> Result<bool, Error> {
    if is_last_admin(write, team, account).await? {
        return Ok(false);
    }
    // First, so that those who are told learn what they were in the team.
    collaborators::remove_everywhere(write, account, Some(team)).await?;
    team_invitations::withdraw_by(write, team, account).await?;
    let statement = sql::query("DELETE FROM team_members WHERE team_id = $1 AND account_id = $2")
        .bind(team.to_string())
        .bind(account.to_string());
    statement.execute(&mut *write.transaction).await?;
    Ok(true)
}

async fn is_last_admin(write: &mut Write, team: TeamId, account: AccountId) -> Result<bool, Error> {
    let rows = sql::query("SELECT * FROM team_members WHERE team_id = $1 AND role = 'admin'").bind(team.to_string());
    let admins: Vec<_> = rows.fetch_all(&mut *write.transaction).await?.iter().map(member).collect::<Result<_, _>>()?;
    Ok(admins.len() == 1 && admins.iter().all(|admin| admin.account_id == account))
}

/// Somebody's place in a team, if they have one.
pub async fn get(store: &Store, team: TeamId, account: AccountId) -> Result<Option<Member>, Error> {
    let row = sql::query("SELECT * FROM team_members WHERE team_id = $1 AND account_id = $2")
        .bind(team.to_string())
        .bind(account.to_string());
    row.fetch_optional(&store.readers).await?.as_ref().map(member).transpose()
}

/// The members of a team, by id.
pub async fn list(store: &Store, team: TeamId) -> Result<Vec<Member>, Error> {
    let rows = sql::query("SELECT * FROM team_members WHERE team_id = $1 ORDER BY id").bind(team.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(member).collect()
}

/// An account's places in teams, by id.
pub async fn of_account(store: &Store, account: AccountId) -> Result<Vec<Member>, Error> {
    let rows = sql::query("SELECT * FROM team_members WHERE account_id = $1 ORDER BY id").bind(account.to_string());
    rows.fetch_all(&store.readers).await?.iter().map(member).collect()
}

/// What somebody is in a team, as the write under way sees it.
pub async fn role_in(write: &mut Write, team: TeamId, account: AccountId) -> Result<Option<TeamRole>, Error> {
    let row = sql::query("SELECT role FROM team_members WHERE team_id = $1 AND account_id = $2")
        .bind(team.to_string())
        .bind(account.to_string());
    let row = row.fetch_optional(&mut *write.transaction).await?;
    row.as_ref().map(|row| parsed(row, "role")).transpose()
}
