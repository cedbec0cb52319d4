"""What every feature leans on: clock, identifiers, errors, owned tasks, sealed values. No feature knowledge here."""
