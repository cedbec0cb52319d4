"""What can be set on a worker; the defaults are those of production."""

import os
import secrets
import socket
from dataclasses import dataclass, field


def new_worker_id() -> str:
    """A name that no other process has had: machine, process number and chance."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


@dataclass(frozen=True)
class WorkerOptions:
    """Settings of one worker process."""

    worker_id: str = field(default_factory=new_worker_id)
    read_entries: int = 40
    """Stream entries read at once; nodes put up to 500 fixes into one."""
    batch_bytes: int = 1_500_000
    """A batch is stored when its entries have this size, or when the stream has no more for now: 8,000 fixes that came
    one by one, 20,000 that came in batches."""
    block_seconds: float = 0.5
    """How long to wait for the first entry of a batch; a stop is noticed within this."""
    claim_idle_seconds: float = 10
    """Silence after which a worker's entries are taken over."""
    claim_life_seconds: float = 7 * 86_400
    """How long the claim on a track id stays in Redis after its fixes were stored."""
    partition_months: int = 3
    """Partitions made ahead: this month and those that follow."""
    partition_check_seconds: float = 3600
    finish_poll_seconds: float = 1
    """How often complete tracks are looked for."""
    finish_after_seconds: float = 86_400
    """An open track without news is finished after this."""
    silence_check_seconds: float = 60
    """How often open tracks without news are looked for."""
    settle_seconds: float = 2
    """A finished track with late fixes is computed again when they have stopped coming for this long …"""
    recompute_seconds: float = 60
    """… or when its figures are older than this."""
    stream_history_days: float = 30
    """Events of durable streams are deleted when they are older."""
    prune_check_seconds: float = 3600
    heartbeat_seconds: float = 2
    redis_timeout_seconds: float = 5
    """Silence of Redis that counts as gone; longer than `block_seconds`."""
    statement_timeout_seconds: float = 30
    """Postgres gives up a statement of the writer after this."""
    connect_timeout_seconds: float = 5
