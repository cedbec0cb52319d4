"""Accounts, privacy, and what is recorded.

Written as SQL, because a migration says what was done then, whatever `domain.db.tables` says today.
"""

from alembic import op

revision = "0001_first"
down_revision = None
branch_labels = None
depends_on = None

_ACCOUNTS = """
CREATE TABLE users (
    id              uuid PRIMARY KEY,
    rider           bigint GENERATED ALWAYS AS IDENTITY UNIQUE NOT NULL,
    username        varchar(50) NOT NULL,
    username_key    text NOT NULL UNIQUE,
    email           text NOT NULL,
    email_key       text NOT NULL UNIQUE,
    password_hash   text NOT NULL,
    full_name       text,
    role            text NOT NULL DEFAULT 'user'
                    CONSTRAINT users_role_known CHECK (role IN ('user', 'moderator', 'admin', 'super_admin')),
    login_attempts  integer NOT NULL DEFAULT 0,
    locked_until    timestamptz,
    last_login      timestamptz,
    created_at      timestamptz NOT NULL
);

CREATE TABLE sessions (
    id              uuid PRIMARY KEY,
    user_id         uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device_id       text NOT NULL,
    ip_address      inet,
    user_agent      text,
    created_at      timestamptz NOT NULL,
    last_used_at    timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    revoked_at      timestamptz
);
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE refresh_tokens (
    hash            bytea PRIMARY KEY,
    session_id      uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    issued_at       timestamptz NOT NULL,
    superseded_at   timestamptz,
    successor       bytea
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);
"""

_PRIVACY = """
CREATE TABLE privacy_zones (
    id              uuid PRIMARY KEY,
    user_id         uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    sealed          bytea NOT NULL,
    created_at      timestamptz NOT NULL
);
CREATE INDEX privacy_zones_of_user ON privacy_zones (user_id);

CREATE TABLE sharing (
    user_id         uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    audience        text NOT NULL CONSTRAINT sharing_audience_known
                    CHECK (audience IN ('public', 'followers', 'groups', 'ride', 'nobody')),
    expires_at      timestamptz,
    version         bigint NOT NULL,
    updated_at      timestamptz NOT NULL
);
CREATE INDEX sharing_changed ON sharing (updated_at);
"""

_RECORDED = """
CREATE TABLE tracks (
    id               uuid PRIMARY KEY,
    month            integer NOT NULL,
    user_id          uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    motorcycle_id    uuid,
    ride_id          uuid,
    started_at       timestamptz,
    first_heard_at   timestamptz NOT NULL,
    last_heard_at    timestamptz NOT NULL,
    last_seq         integer,
    stored           integer NOT NULL DEFAULT 0,
    max_seq          integer,
    recompute        boolean NOT NULL DEFAULT false,
    finished_at      timestamptz,
    computed_at      timestamptz,
    line             geometry(LINESTRINGZM, 4326),
    distance_metres  double precision,
    duration_seconds double precision,
    moving_seconds   double precision,
    stopped_seconds  double precision,
    ascent_metres    double precision,
    descent_metres   double precision,
    max_speed        double precision,
    average_speed    double precision,
    stops            jsonb,
    fixes            integer,
    implausible      integer,
    standing         integer,
    repeated         integer
) WITH (fillfactor = 70);
CREATE INDEX tracks_of_user ON tracks (user_id, first_heard_at);
CREATE INDEX tracks_to_compute ON tracks (id) WHERE recompute;
CREATE INDEX tracks_unfinished ON tracks (id) WHERE finished_at IS NULL;

CREATE TABLE track_points (
    track_month      integer NOT NULL,
    track_id         uuid NOT NULL,
    seq              integer NOT NULL,
    timestamp        timestamptz NOT NULL,
    latitude         double precision NOT NULL,
    longitude        double precision NOT NULL,
    altitude         real,
    accuracy         real,
    speed            real,
    heading          real,
    lean             real,
    battery          real,
    flags            smallint NOT NULL DEFAULT 0,
    received_at      timestamptz NOT NULL,
    PRIMARY KEY (track_month, track_id, seq)
) PARTITION BY LIST (track_month);

CREATE TABLE track_gaps (
    track_id         uuid NOT NULL,
    first_seq        integer NOT NULL,
    last_seq         integer NOT NULL,
    reason           text NOT NULL,
    PRIMARY KEY (track_id, first_seq, last_seq),
    CONSTRAINT track_gaps_in_order CHECK (0 <= first_seq AND first_seq <= last_seq)
);
"""


def upgrade() -> None:
    """Make everything. The extension may be there already, made by somebody with the right to."""
    op.execute("CREATE EXTENSION IF NOT EXISTS postgis")
    for group in (_ACCOUNTS, _PRIVACY, _RECORDED):
        for statement in group.split(";"):
            if statement.strip():
                op.execute(statement)


def downgrade() -> None:
    """Take it all away."""
    for table in (
        "track_gaps",
        "track_points",
        "tracks",
        "sharing",
        "privacy_zones",
        "refresh_tokens",
        "sessions",
        "users",
    ):
        op.execute(f"DROP TABLE {table}")
