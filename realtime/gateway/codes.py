"""Why the server closes sockets, in one table: each line says whether a client comes back at once, later, or never.

The WebSocket status is for raw clients; Socket.IO clients read the same code in the `error` event before the close, but
for SILENT, which closes sockets that have not signed in.
"""

from realtime.wire.interface import DISMISSED, OVERFLOWED, SILENT, STOPPING, Closing, Reconnect

TOKEN_ENDED = Closing(
    4401, "token_expired", "The access token has ended: refresh it and connect again", Reconnect.AT_ONCE
)
SESSION_REVOKED = Closing(4403, "session_revoked", "This session was ended: sign in again", Reconnect.NEVER)
ABUSED = Closing(
    4429, "rate_limited", "Too many requests were refused: slow down, and mend what is sent", Reconnect.LATER
)
FAULTY = Closing(4500, "internal", "A fault on our side: connect again later", Reconnect.LATER)

CLOSINGS: tuple[Closing, ...] = (
    SILENT,
    OVERFLOWED,
    STOPPING,
    DISMISSED,
    TOKEN_ENDED,
    SESSION_REVOKED,
    ABUSED,
    FAULTY,
)
"""Every closing there is."""
