"""The schema's history, run by `domain.db.migrate`."""
