"""A track that its rider deleted leaves its id behind, so that fixes still on their way do not bring it back.

Adding a column without a default takes a moment, whatever the size of the table.
"""

from alembic import op

revision = "0002_deleted_tracks"
down_revision = "0001_first"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for when a track was deleted."""
    op.execute("ALTER TABLE tracks ADD COLUMN deleted_at timestamptz")


def downgrade() -> None:
    """Forget what was deleted; the rows that stand for it go too, since nothing would tell them from tracks."""
    op.execute("DELETE FROM tracks WHERE deleted_at IS NOT NULL")
    op.execute("ALTER TABLE tracks DROP COLUMN deleted_at")
