-- Ids are UUIDs as text, times microseconds since 1970, booleans 0 or 1, sealed columns are described in
-- crates/base/store/src/seal.rs, JSON columns hold what the named type of `vocabulary` or `store` serialises to.

CREATE TABLE facts (
    name TEXT PRIMARY KEY NOT NULL,      -- 'route_table_version'
    value INTEGER NOT NULL
);

CREATE TABLE accounts (
    id TEXT PRIMARY KEY NOT NULL,
    email TEXT NOT NULL UNIQUE,          -- lower case
    name TEXT,
    password_hash TEXT NOT NULL,         -- argon2id, PHC string
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE TABLE authorizations (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    token_id TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,     -- SHA-256 of the token, hexadecimal
    token_hint TEXT NOT NULL,            -- first and last characters, as the API redacts it
    description TEXT NOT NULL,
    scope TEXT NOT NULL,                 -- JSON list
    is_default INTEGER NOT NULL,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX authorizations_by_account ON authorizations (account_id);

CREATE TABLE apps (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    owner_id TEXT NOT NULL REFERENCES accounts (id),
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
    name TEXT NOT NULL,                  -- node, npm, static
    version TEXT NOT NULL,
    layer TEXT NOT NULL REFERENCES layers (digest),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (name, version)
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
    created_at INTEGER NOT NULL
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
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    lane TEXT NOT NULL,                  -- jobs of one lane run one after the other: the app's id
    payload TEXT NOT NULL,               -- JSON
    state TEXT NOT NULL,                 -- queued, running; an ended job is deleted
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);
