"""Tampers with what one client was sent, to prove that the checks can fail."""

SABOTAGES = ("lose", "duplicate", "swap")
