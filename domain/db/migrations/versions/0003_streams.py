"""Durable streams: where each stands, its events, and the epoch that new ones begin with.

Adding tables takes a moment, whatever the size of the others.
"""

from alembic import op

revision = "0003_streams"
down_revision = "0002_deleted_tracks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; the epoch is random, so that no other database has it."""
    op.execute(
        """
        CREATE TABLE stream_epoch (
            single boolean PRIMARY KEY DEFAULT true,
            epoch text NOT NULL,
            CONSTRAINT stream_epoch_is_one CHECK (single)
        )
        """
    )
    op.execute("INSERT INTO stream_epoch (epoch) VALUES (substr(md5(gen_random_uuid()::text), 1, 12))")
    # Rows change with each event, and only where no index looks: room on the page makes that cheap.
    op.execute(
        """
        CREATE TABLE streams (
            id text PRIMARY KEY,
            epoch text NOT NULL,
            head bigint NOT NULL,
            pruned_to bigint NOT NULL DEFAULT 0,
            CONSTRAINT streams_pruned_behind_head CHECK (0 <= pruned_to AND pruned_to <= head)
        ) WITH (fillfactor = 50)
        """
    )
    op.execute(
        """
        CREATE TABLE stream_events (
            stream text NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
            seq bigint NOT NULL,
            name text NOT NULL,
            sent_at timestamptz NOT NULL,
            body bytea NOT NULL,
            PRIMARY KEY (stream, seq)
        )
        """
    )
    op.execute("CREATE INDEX stream_events_by_age ON stream_events (sent_at)")


def downgrade() -> None:
    """Forget every stream."""
    op.execute("DROP TABLE stream_events, streams, stream_epoch")
