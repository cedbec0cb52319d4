"""What the kernel keeps of what is written to a socket and not sent yet: little, so that the outbox decides for longer.

Both who listens and who is connected say so; where the operating system cannot be told, it keeps what it likes.
"""

import socket


def keep_little_unsent(endpoint: socket.socket | None, unsent_bytes: int) -> bool:
    """Have the kernel, too, take little ahead of the network: what waits there can be neither dropped nor overtaken.

    Of a socket that listens all that it accepts inherit this. Whether it is a socket for which that could be said.
    """
    if endpoint is None or not hasattr(socket, "TCP_NOTSENT_LOWAT") or endpoint.family == socket.AF_UNIX:
        return False
    endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent_bytes)
    return True
