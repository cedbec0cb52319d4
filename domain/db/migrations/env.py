"""Runs migrations on the connection that `domain.db.migrate` hands over; there is no other way in."""

from alembic import context

from domain.db.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
