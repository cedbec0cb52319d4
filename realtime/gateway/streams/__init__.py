"""Durable streams as the clients of this node hear them: cursors that fill every gap, and the way back to them."""
