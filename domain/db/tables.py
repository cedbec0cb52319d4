"""The tables as SQLAlchemy Core knows them; the migrations make them, and a test proves that both say the same.

Times are `timestamptz`, lengths metres, speeds metres per second. Uniqueness without regard to case is kept in `*_key`
columns that the domain folds itself, because what `lower()` does depends on the locale of the database.
"""

from geoalchemy2 import Geometry
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import INET, JSONB, REAL

metadata = MetaData()

_MOMENT = DateTime(timezone=True)

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("rider", BigInteger, Identity(always=True), nullable=False, unique=True),
    Column("username", String(50), nullable=False),
    Column("username_key", Text, nullable=False, unique=True),
    Column("email", Text, nullable=False),
    Column("email_key", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("full_name", Text),
    Column("role", Text, nullable=False, server_default="user"),
    Column("login_attempts", Integer, nullable=False, server_default="0"),
    Column("locked_until", _MOMENT),
    Column("last_login", _MOMENT),
    Column("created_at", _MOMENT, nullable=False),
    CheckConstraint("role IN ('user', 'moderator', 'admin', 'super_admin')", name="users_role_known"),
)
"""`rider` is the short number that stands for the user in frames."""

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("device_id", Text, nullable=False),
    Column("ip_address", INET),
    Column("user_agent", Text),
    Column("created_at", _MOMENT, nullable=False),
    Column("last_used_at", _MOMENT, nullable=False),
    Column("expires_at", _MOMENT, nullable=False),
    Column("revoked_at", _MOMENT),
    Index("sessions_of_user", "user_id"),
    Index("sessions_revoked", "revoked_at", postgresql_where=text("revoked_at IS NOT NULL")),
)
"""One sign-in on one device."""

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("issued_at", _MOMENT, nullable=False),
    Column("superseded_at", _MOMENT),
    Column("successor", LargeBinary),
    Index("refresh_tokens_of_session", "session_id"),
)
"""SHA-256 of every refresh token of a session, so that one presented again is recognised.

`successor` is the token that replaced it, sealed with the replaced token itself, so that a client whose answer was lost
can be given the same one again and nobody can read it here.
"""

privacy_zones = Table(
    "privacy_zones",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", _MOMENT, nullable=False),
    Index("privacy_zones_of_user", "user_id"),
)
"""Name and place are in `sealed`, bound to the owner: a dump of this table tells nobody where riders live."""

sharing = Table(
    "sharing",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("audience", Text, nullable=False),
    Column("expires_at", _MOMENT),
    Column("version", BigInteger, nullable=False),
    Column("updated_at", _MOMENT, nullable=False),
    CheckConstraint("audience IN ('public', 'followers', 'groups', 'ride', 'nobody')", name="sharing_audience_known"),
    Index("sharing_changed", "updated_at"),
)
"""Who may see a rider; without a row it is the default of `domain.sharing.rules`."""

tracks = Table(
    "tracks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("month", Integer, nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("motorcycle_id", Uuid),
    Column("ride_id", Uuid),
    Column("started_at", _MOMENT),
    Column("first_heard_at", _MOMENT, nullable=False),
    Column("last_heard_at", _MOMENT, nullable=False),
    Column("last_seq", Integer),
    Column("stored", Integer, nullable=False, server_default="0"),
    Column("max_seq", Integer),
    Column("recompute", Boolean, nullable=False, server_default=text("false")),
    Column("finished_at", _MOMENT),
    Column("computed_at", _MOMENT),
    Column("line", Geometry("LINESTRINGZM", srid=4326, dimension=4, spatial_index=False)),
    Column("distance_metres", Double),
    Column("duration_seconds", Double),
    Column("moving_seconds", Double),
    Column("stopped_seconds", Double),
    Column("ascent_metres", Double),
    Column("descent_metres", Double),
    Column("max_speed", Double),
    Column("average_speed", Double),
    Column("stops", JSONB),
    Column("fixes", Integer),
    Column("implausible", Integer),
    Column("standing", Integer),
    Column("repeated", Integer),
    Column("deleted_at", _MOMENT),
    Index("tracks_of_user", "user_id", "first_heard_at"),
    Index("tracks_to_compute", "id", postgresql_where=text("recompute")),
    Index("tracks_unfinished", "id", postgresql_where=text("finished_at IS NULL")),
    postgresql_with={"fillfactor": 70},
)
"""One row a track. `month` (year * 100 + month of when it was first heard of) is its partition and never changes.

Every batch of fixes updates the rows of its tracks: no index holds a column that changes with it (`last_heard_at`,
`stored`), so that these updates stay on their page. With `deleted_at` a row is all that is left of a track: its id, its
rider and its month, so that what a phone still sends for it is dropped and does not bring it back.
"""

track_points = Table(
    "track_points",
    metadata,
    Column("track_month", Integer, nullable=False),
    Column("track_id", Uuid, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("timestamp", _MOMENT, nullable=False),
    Column("latitude", Double, nullable=False),
    Column("longitude", Double, nullable=False),
    Column("altitude", REAL),
    Column("accuracy", REAL),
    Column("speed", REAL),
    Column("heading", REAL),
    Column("lean", REAL),
    Column("battery", REAL),
    Column("flags", SmallInteger, nullable=False, server_default="0"),
    Column("received_at", _MOMENT, nullable=False),
    PrimaryKeyConstraint("track_month", "track_id", "seq"),
    postgresql_partition_by="LIST (track_month)",
)
"""Every fix, once. Partitions are made ahead by the recording side; no foreign key, since each costs a lookup."""

track_gaps = Table(
    "track_gaps",
    metadata,
    Column("track_id", Uuid, nullable=False),
    Column("first_seq", Integer, nullable=False),
    Column("last_seq", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("track_id", "first_seq", "last_seq"),
    CheckConstraint("0 <= first_seq AND first_seq <= last_seq", name="track_gaps_in_order"),
)
"""Closed ranges of sequence numbers that are not waited for, and why: refused with a code, `lost`, or `dead_letter`.

Ranges, because a phone may declare millions of fixes lost in one message. They may overlap, and a fix may be stored
all the same when it turns up.
"""

stream_epoch = Table(
    "stream_epoch",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=text("true")),
    Column("epoch", Text, nullable=False),
    CheckConstraint("single", name="stream_epoch_is_one"),
)
"""One row: the epoch that new streams begin with."""

streams = Table(
    "streams",
    metadata,
    Column("id", Text, primary_key=True),
    Column("epoch", Text, nullable=False),
    Column("head", BigInteger, nullable=False),
    Column("pruned_to", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("0 <= pruned_to AND pruned_to <= head", name="streams_pruned_behind_head"),
)
"""Where each stream stands; the row's lock gives its events their numbers. One without a row never had an event."""

stream_events = Table(
    "stream_events",
    metadata,
    Column("stream", ForeignKey("streams.id", ondelete="CASCADE"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("sent_at", _MOMENT, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("stream", "seq"),
    Index("stream_events_by_age", "sent_at"),
)
"""The events above `pruned_to`, their own fields sealed."""
