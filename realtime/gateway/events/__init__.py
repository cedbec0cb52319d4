"""One contract file a feature: every event by name, with its payload, promise and limit."""
