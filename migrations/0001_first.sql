-- Ids are UUIDs as text, times microseconds since 1970, booleans 0 or 1, sealed columns are described in
-- crates/base/store/src/seal.rs, JSON columns hold what the named type of `vocabulary` or `store` serialises to.
-- One text for SQLite and PostgreSQL: crates/base/store/src/migrations.rs says what it may hold.

CREATE TABLE facts (
    name TEXT PRIMARY KEY NOT NULL,      -- 'route_table_version', 'job', 'webhook_event', …
    value INTEGER NOT NULL
);

CREATE TABLE accounts (
    id TEXT PRIMARY KEY NOT NULL,
    email TEXT NOT NULL UNIQUE,          -- lower case
    name TEXT,
    password_hash TEXT NOT NULL,         -- argon2id, PHC string; empty for one that was removed
    last_login INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE TABLE second_factors (
    account_id TEXT PRIMARY KEY NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    secret TEXT NOT NULL,                -- sealed: what codes are made from (RFC 6238)
    last_step INTEGER NOT NULL,          -- of the last code that was taken; older ones are used up
    created_at INTEGER NOT NULL
);

CREATE TABLE recovery_codes (
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    code_hash TEXT NOT NULL,             -- SHA-256 of the code, hexadecimal; a used one is deleted
    PRIMARY KEY (account_id, code_hash)
);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    cookie_hash TEXT UNIQUE,             -- SHA-256 of a browser's cookie; null for a command line's session
    description TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX sessions_by_account ON sessions (account_id);

CREATE TABLE user_preferences (
    account_id TEXT PRIMARY KEY NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    preferences TEXT NOT NULL,           -- JSON map of those that were set, by their names in the API
    updated_at INTEGER NOT NULL
);

CREATE TABLE keys (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL UNIQUE,    -- MD5 of the key, pairs of hexadecimal digits between colons
    public_key TEXT NOT NULL,            -- as uploaded
    comment TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX keys_by_account ON keys (account_id);

CREATE TABLE oauth_clients (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    secret TEXT NOT NULL,                -- sealed: its owner may read it again
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX oauth_clients_by_account ON oauth_clients (account_id);

CREATE TABLE authorizations (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    client_id TEXT REFERENCES oauth_clients (id) ON DELETE CASCADE,
    session_id TEXT REFERENCES sessions (id) ON DELETE CASCADE,
    token_id TEXT,                       -- the access token; all null before a client exchanged its grant
    token_hash TEXT UNIQUE,              -- SHA-256 of the token, hexadecimal
    token_hint TEXT,                     -- first and last characters, as the API redacts it
    refresh_id TEXT,                     -- the same of the refresh token; null without a client
    refresh_hash TEXT UNIQUE,
    refresh_hint TEXT,
    description TEXT NOT NULL,
    scope TEXT NOT NULL,                 -- JSON list
    is_default INTEGER NOT NULL,
    expires_at INTEGER,                  -- of the access token
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX authorizations_by_account ON authorizations (account_id);
CREATE INDEX authorizations_by_session ON authorizations (session_id);
CREATE INDEX authorizations_by_client ON authorizations (client_id);

CREATE TABLE grants (
    id TEXT PRIMARY KEY NOT NULL,
    authorization_id TEXT NOT NULL REFERENCES authorizations (id) ON DELETE CASCADE,
    code_hash TEXT NOT NULL UNIQUE,      -- SHA-256 of the code, hexadecimal
    challenge TEXT,                      -- of the one who may exchange it (RFC 7636, S256)
    used INTEGER NOT NULL DEFAULT 0,     -- a second use revokes the authorization
    expires_at INTEGER NOT NULL
);
CREATE INDEX grants_by_authorization ON grants (authorization_id);

CREATE TABLE teams (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE TABLE team_members (
    id TEXT PRIMARY KEY NOT NULL,
    team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role TEXT NOT NULL,                  -- admin, member, viewer
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (team_id, account_id)
);
CREATE INDEX team_members_by_account ON team_members (account_id);

CREATE TABLE team_invitations (
    id TEXT PRIMARY KEY NOT NULL,
    team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    invited_by TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role TEXT NOT NULL,                  -- admin, member, viewer
    token_hash TEXT NOT NULL UNIQUE,     -- SHA-256 of the token, hexadecimal
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (team_id, account_id)
);
CREATE INDEX team_invitations_by_account ON team_invitations (account_id);
CREATE INDEX team_invitations_by_inviter ON team_invitations (invited_by);

CREATE TABLE apps (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    owner_id TEXT NOT NULL REFERENCES accounts (id), -- of a team's app: who brought it there, which gives no right
    team_id TEXT REFERENCES teams (id),
    locked INTEGER NOT NULL DEFAULT 0,   -- a team's app that its members neither see nor join by themselves
    stack TEXT NOT NULL,                 -- of the current release
    build_stack TEXT NOT NULL,           -- of the next build
    maintenance INTEGER NOT NULL DEFAULT 0,
    config TEXT NOT NULL,                -- sealed JSON map: the config vars
    buildpack_provided_description TEXT,
    slug_size INTEGER,
    released_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX apps_by_owner ON apps (owner_id);
CREATE INDEX apps_by_team ON apps (team_id);

CREATE TABLE collaborators (
    id TEXT PRIMARY KEY NOT NULL,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    permissions TEXT NOT NULL,           -- view,deploy,operate,manage: those that were given
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (app_id, account_id)
);
CREATE INDEX collaborators_by_account ON collaborators (account_id);

CREATE TABLE app_transfers (
    id TEXT PRIMARY KEY NOT NULL,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    owner_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    recipient_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    state TEXT NOT NULL,                 -- pending, accepted, declined
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX one_pending_transfer_of_an_app ON app_transfers (app_id) WHERE state = 'pending';

CREATE TABLE favorites (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    UNIQUE (account_id, app_id)
);
CREATE INDEX favorites_by_app ON favorites (app_id);

CREATE TABLE notifications (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    app_name TEXT NOT NULL,              -- as it was then: who is told may not see the app
    kind TEXT NOT NULL,                  -- collaborator-added, transfer-offered, release-failed
    detail TEXT,                         -- the email of who did it, or the release's name
    is_read INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX notifications_by_account ON notifications (account_id);
CREATE INDEX notifications_by_app ON notifications (app_id);

CREATE TABLE app_features (
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    name TEXT NOT NULL,                  -- preboot, log-runtime-metrics, runtime-dyno-metadata
    enabled INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (app_id, name)
);

CREATE TABLE buildpack_installations (
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    url TEXT NOT NULL,                   -- as the API shows it: urn:buildpack:heroku/nodejs, https://…
    name TEXT NOT NULL,                  -- heroku/nodejs, or the URL
    PRIMARY KEY (app_id, ordinal)
);

CREATE TABLE domains (
    id TEXT PRIMARY KEY NOT NULL,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    hostname TEXT NOT NULL UNIQUE,       -- lower case, A-labels; *.example.com
    target TEXT NOT NULL,                -- first label of the name a DNS record is to point at
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX domains_by_app ON domains (app_id);

CREATE TABLE layers (
    digest TEXT PRIMARY KEY NOT NULL,    -- of the normalised tar
    blob TEXT NOT NULL,                  -- of the tar.zst
    blob_bytes INTEGER NOT NULL,
    tar_bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);

CREATE TABLE runtimes (
    name TEXT NOT NULL,                  -- node, npm, static, …
    version TEXT NOT NULL,
    stack_image TEXT NOT NULL,           -- of one made of a stack's own programs: that image; else empty
    layer TEXT NOT NULL REFERENCES layers (digest),
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,            -- when a build last asked for it, to the day
    PRIMARY KEY (name, version, stack_image)
);

CREATE TABLE build_caches (
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    stack TEXT NOT NULL,
    layer TEXT NOT NULL REFERENCES layers (digest),
    PRIMARY KEY (app_id, stack)
);

CREATE TABLE slugs (
    id TEXT PRIMARY KEY NOT NULL,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    stack TEXT NOT NULL,
    commit_sha TEXT,
    commit_description TEXT,
    buildpack_provided_description TEXT,
    process_types TEXT NOT NULL,         -- JSON map
    layers TEXT NOT NULL,                -- JSON list of digests, bottom to top
    size INTEGER NOT NULL,               -- bytes of the app's own blobs
    created_at INTEGER NOT NULL,
    deleted_at INTEGER                   -- since when its layers are no longer kept for it
);
CREATE INDEX slugs_by_app ON slugs (app_id);

CREATE TABLE releases (
    id TEXT PRIMARY KEY NOT NULL,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    slug_id TEXT REFERENCES slugs (id),
    config TEXT NOT NULL,                -- sealed JSON map: the config vars of that moment
    status TEXT NOT NULL,
    description TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    has_output INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (app_id, version)
);

CREATE TABLE builds (
    id TEXT PRIMARY KEY NOT NULL,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    status TEXT NOT NULL,
    stack TEXT NOT NULL,
    source TEXT NOT NULL,                -- digest of the source's blob
    strip_top_folder INTEGER NOT NULL,
    source_version TEXT,
    source_version_description TEXT,
    buildpacks TEXT NOT NULL,            -- JSON list, as the API shows them
    slug_id TEXT REFERENCES slugs (id),
    release_id TEXT REFERENCES releases (id),
    failure TEXT,                        -- one line: why it failed
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX builds_by_app ON builds (app_id, created_at);

CREATE TABLE uploads (
    id TEXT PRIMARY KEY NOT NULL,        -- the part of the upload's address that is its own
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    blob TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    used INTEGER NOT NULL,               -- whether a build has it
    created_at INTEGER NOT NULL
);
CREATE INDEX uploads_by_account ON uploads (account_id);
CREATE INDEX uploads_by_blob ON uploads (blob);

CREATE TABLE formation (
    id TEXT PRIMARY KEY NOT NULL,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    process_type TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    size TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (app_id, process_type)
);

CREATE TABLE dynos (
    id TEXT PRIMARY KEY NOT NULL,        -- this run; the engine's instance has the same id
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    process_type TEXT NOT NULL,
    number INTEGER NOT NULL,
    release_id TEXT NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
    size TEXT NOT NULL,
    command TEXT NOT NULL,
    state TEXT NOT NULL,
    address TEXT,                        -- IP:PORT once a web dyno listens
    restart_asked INTEGER NOT NULL DEFAULT 0,
    one_off TEXT,                        -- JSON of store::dynos::OneOff; null for a dyno of the formation
    env TEXT,                            -- sealed JSON map: what a one-off dyno finds beside its config vars
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX dynos_by_app ON dynos (app_id);

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY NOT NULL,     -- counted by the fact 'job'
    kind TEXT NOT NULL,
    lane TEXT NOT NULL,                  -- jobs of one lane run one after the other: the app's id
    payload TEXT NOT NULL,               -- JSON
    state TEXT NOT NULL,                 -- queued, running; an ended job is deleted
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);

-- Webhooks, what they are told of, and how far the telling got. An app's end is told as well, so none of the three
-- goes with the app: `removed_at` says since when a webhook is only kept for what it is still to be told.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY NOT NULL,
    app_id TEXT NOT NULL,
    owner TEXT NOT NULL,                 -- the team or account that has the app, whose webhooks share what there is
    url TEXT NOT NULL,
    include TEXT NOT NULL,               -- JSON list: api:release, …
    level TEXT NOT NULL,                 -- notify, sync
    secret TEXT NOT NULL,                -- sealed: what deliveries are signed with
    authorization_header TEXT,           -- sealed: the header of that name
    dropped INTEGER NOT NULL DEFAULT 0,  -- events it was not told of, as too many waited
    removed_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX webhooks_by_app ON webhooks (app_id);
CREATE INDEX webhooks_by_owner ON webhooks (owner);

CREATE TABLE webhook_events (
    sequence INTEGER PRIMARY KEY NOT NULL, -- counted by the fact 'webhook_event'
    id TEXT NOT NULL UNIQUE,
    app_id TEXT NOT NULL,
    include TEXT NOT NULL,
    action TEXT NOT NULL,                -- create, update, destroy
    thing_id TEXT NOT NULL,              -- what it tells of
    actor_id TEXT NOT NULL,              -- who did it; for what the platform does by itself, who has the app
    actor_email TEXT NOT NULL,
    snapshot TEXT NOT NULL,              -- JSON of store::events::Snapshot: the thing as it was then
    previous TEXT,                       -- the same from before an update
    created_at INTEGER NOT NULL
);
CREATE INDEX webhook_events_by_app ON webhook_events (app_id, sequence);

CREATE TABLE webhook_deliveries (
    sequence INTEGER PRIMARY KEY NOT NULL, -- counted by the fact 'webhook_delivery'
    id TEXT NOT NULL UNIQUE,
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_id TEXT NOT NULL REFERENCES webhook_events (id),
    thing_id TEXT NOT NULL,              -- deliveries of one thing keep their order
    status TEXT NOT NULL,                -- pending, scheduled, retrying, succeeded, failed
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER,             -- null once it ended
    attempt_id TEXT,                     -- the last attempt; null before the first
    attempt_code INTEGER,                -- the status that was answered
    attempt_error TEXT,                  -- why none was
    attempt_at INTEGER,                  -- when it began
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, status);
-- The few that are under way: looked into before another begins.
CREATE INDEX webhook_deliveries_under_way ON webhook_deliveries (webhook_id) WHERE status = 'scheduled';
-- What waits of one thing, in order: looked into for each delivery that is due.
CREATE INDEX webhook_deliveries_of_thing ON webhook_deliveries (webhook_id, thing_id, sequence)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (event_id);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
