"""What ThrottleCove is about, one folder a feature: rules (pure), service (use cases), store (SQL), ports."""
