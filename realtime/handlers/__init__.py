"""What happens when an event arrives, one module (or folder) a feature: take it in, ask the domain, answer."""
