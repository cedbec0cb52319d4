"""Everything joined, on one page: what a node is made of, from settings to handlers. Nothing is decided here."""

import secrets
import socket
from dataclasses import dataclass
from datetime import timedelta

from argon2 import PasswordHasher
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.accounts.passwords import Passwords
from domain.accounts.service import AccountOptions, AccountService
from domain.accounts.tokens import TokenIssuer, TokenKeys, TokenVerifier
from domain.db.engine import create_engine
from domain.kit.clock import Clock
from domain.kit.cursors import Cursors
from domain.kit.redis_master_watch import MasterWatch
from domain.kit.sealed import Sealer
from domain.kit.tasks import TaskOwner
from domain.location.policies import Policies
from domain.location.service import RiderDirectory
from domain.sharing.service import SharingService
from domain.streams.service import Streams
from domain.tracks.files.exporting import TrackExporter
from domain.tracks.files.importing import TrackImporter
from domain.tracks.ownership import Ownership
from domain.tracks.reading import TrackReader
from domain.tracks.recorder import Recorder
from domain.tracks.service import TrackService
from domain.tracks.shapes import TrackShapes
from domain.tracks.store import TrackStore
from domain.zones.service import ZoneService
from realtime.bus.connections import BusOptions, create_client, create_maker
from realtime.bus.control import ControlLog
from realtime.bus.density import RegionCounts
from realtime.bus.metrics import BusMetrics
from realtime.bus.nodes import Node, NodeRegister
from realtime.bus.policy_cache import RedisPolicyCache
from realtime.bus.redis_bus import RedisBus
from realtime.bus.rooms import RedisRooms
from realtime.bus.stream_hints import RedisStreamHints
from realtime.bus.takeover import Takeover
from realtime.bus.track_log import RedisTrackLog
from realtime.gateway.contracts import Limit
from realtime.gateway.events.location import LOCATION_BATCH, LOCATION_UPDATE
from realtime.gateway.gateway import Gateway, GatewayOptions
from realtime.gateway.metrics import GatewayMetrics
from realtime.gateway.namespace import InNamespace
from realtime.gateway.revocations import HeardRevocations
from realtime.gateway.streams.cursors import Cursors as StreamCursors
from realtime.gateway.streams.greetings import Greetings
from realtime.gateway.streams.history import HistoryReader
from realtime.gateway.streams.keeper import Keeper
from realtime.gateway.streams.kinds import StreamKinds
from realtime.gateway.streams.metrics import StreamMetrics
from realtime.gateway.streams.resume import ResumeHandlers
from realtime.handlers.location.density import LIFE_INTERVALS, Density
from realtime.handlers.location.density_metrics import DensityMetrics
from realtime.handlers.location.dots import Dots
from realtime.handlers.location.open_tracks import OpenTracks
from realtime.handlers.location.rates import Rates
from realtime.handlers.location.sharing import PolicyFollower, PolicyKeeper, SharingHandlers
from realtime.handlers.location.tracks import TrackHandlers
from realtime.handlers.location.watching import WatchHandlers
from realtime.handlers.location.withdrawals import Withdrawals
from realtime.handlers.own_stream import OwnStream
from realtime.hub.hub import Hub
from realtime.hub.metrics import HubMetrics
from realtime.hub.options import HubOptions
from realtime.wire.options import WireOptions
from realtime.wire.packets import encode_event
from realtime.wire.server import Wire
from rest.app import create_rest
from rest.limits import LimitOptions, RateLimits
from rest.services import RestServices
from server.figures import figures_of
from server.settings import Settings
from server.stream_watch import StreamWatch
from server.truth import Truth
from server.version import VERSION


@dataclass(frozen=True)
class Stores:
    """What a node shares with others: Postgres, and Redis by its parts."""

    engine: AsyncEngine
    redis: Redis
    """For looks at Redis itself."""
    bus: RedisBus
    rooms: RedisRooms
    hints: RedisStreamHints
    control: ControlLog
    takeover: Takeover
    track_log: RedisTrackLog
    policy_cache: RedisPolicyCache
    register: NodeRegister
    counts: RegionCounts
    limits: RateLimits
    master_watch: MasterWatch


@dataclass(frozen=True)
class ServerNode:
    """A whole node, not running yet; `server.app` runs its parts."""

    settings: Settings
    clock: Clock
    registry: CollectorRegistry
    tasks: TaskOwner
    stores: Stores
    wire: Wire
    wire_options: WireOptions
    gateway: Gateway
    cursors: StreamCursors
    history: HistoryReader
    keeper: Keeper
    hub: Hub
    density: Density
    recorder: Recorder
    rates: Rates
    follower: PolicyFollower
    withdrawals: Withdrawals
    truth: Truth
    stream_watch: StreamWatch
    rest: FastAPI


def build(settings: Settings, clock: Clock, registry: CollectorRegistry, address: str) -> ServerNode:
    """A node for these settings; `address` is where it will listen. Opens no connection yet."""
    tasks = TaskOwner("node")
    stores = _stores(settings, clock, registry, address)
    sealer = Sealer(_secrets(settings.seal_keys), settings.seal_active_key)
    keys = TokenKeys(settings.token_active_key, _secrets(settings.token_keys), settings.token_algorithm)
    verifier = TokenVerifier(keys, clock)
    accounts = AccountService(
        stores.engine,
        clock,
        issuer=TokenIssuer(keys, clock, settings.access_token_seconds),
        passwords=Passwords(
            PasswordHasher(time_cost=settings.password_passes, memory_cost=settings.password_memory_kib)
        ),
        revocations=stores.control,
        options=AccountOptions(
            refresh_token_lifetime=timedelta(seconds=settings.refresh_token_seconds),
            refresh_grace=timedelta(seconds=settings.refresh_grace_seconds),
        ),
    )

    # Who sees whom: changes of a policy reach the dots through the keeper here and the follower on every node.
    directory = RiderDirectory(stores.engine)
    keeper = PolicyKeeper(stores.control)
    streams = Streams(stores.engine, clock, sealer, stores.hints)
    sharing = SharingService(stores.engine, clock, sealer, keeper, streams)
    zones = ZoneService(stores.engine, clock, sealer, keeper, settings.zone_secret.get_secret_value())
    policies = Policies(sharing, stores.policy_cache, sealer)
    hub = Hub(
        stores.bus,
        clock,
        encode_event,
        _hub_options(settings),
        HubMetrics(registry),
        superseded=lambda rider, generation: dots.supersede(rider, generation),  # noqa: PLW0108 - dots are made below
    )
    dots = Dots(
        hub,
        stores.takeover,
        policies,
        clock,
        stores.bus.redis_clock,
        life_seconds=settings.position_life_seconds,
    )
    withdrawals = Withdrawals(dots, policies, clock)
    keeper.attach(policies, withdrawals)
    follower = PolicyFollower(dots, withdrawals, tasks, clock)
    truth = Truth(
        accounts,
        directory,
        clock,
        token_seconds=settings.access_token_seconds,
        statement_seconds=settings.database_statement_timeout_seconds,
        position_seconds=settings.position_life_seconds,
    )

    # What phones send.
    track_store = TrackStore(stores.engine)
    recorder = Recorder(
        stores.track_log,
        clock,
        tick_seconds=settings.tick_milliseconds / 1000,
        pending_limit=settings.pending_fixes,
    )
    hub.before_tick = recorder.settle
    rates = Rates(
        hub,
        clock,
        watched_ms=settings.watched_interval_milliseconds,
        unwatched_ms=settings.unwatched_interval_milliseconds,
    )
    ownership = Ownership(stores.track_log, track_store)
    tracks = TrackHandlers(
        ownership, recorder, OpenTracks(track_store), dots, rates, clock, batch_fixes=settings.batch_fixes
    )
    density = Density(
        hub, stores.counts, clock, DensityMetrics(registry), interval_seconds=settings.density_interval_seconds
    )
    watching = WatchHandlers(hub, density, directory, most_cells=settings.watch_cells)

    # What riders are told for good, and where they go on.
    stream_metrics = StreamMetrics(registry)
    cursors = StreamCursors(stores.hints, clock, stream_metrics)
    kinds = StreamKinds([OwnStream(sharing)])
    greetings, history = Greetings(cursors, kinds), HistoryReader(streams)
    cursor_keeper = Keeper(cursors, greetings, streams, clock)
    stores.hints.attach(cursors.said, cursor_keeper.doubt)
    resuming = ResumeHandlers(
        cursors, kinds, history, watching, stream_metrics, most_bytes=settings.socket_queue_bytes // 2
    )

    gateway = Gateway(
        [tracks, watching, SharingHandlers(sharing), resuming],
        verifier=verifier,
        revocations=HeardRevocations([stores.control, truth], accounts.session_is_revoked),
        clock=clock,
        owner=tasks,
        metrics=GatewayMetrics(registry),
        options=_gateway_options(settings),
        hooks=[tracks, watching],
        streams=greetings,
    )
    stores.control.attach(session_revoked=gateway.session_revoked, policy_changed=follower.policy_changed)
    truth.attach(session_revoked=gateway.session_revoked, policy_changed=follower.policy_found)
    wire_options = _wire_options(settings)
    wire = Wire(wire_options, gateway, nodes=stores.rooms)
    gateway.join(InNamespace(lambda: wire.emitter.rooms("/")))
    _show_to_admins(wire, settings)
    ears = (stores.bus, stores.rooms, stores.hints)
    stores.register.attach(lambda: figures_of(wire, gateway, hub, ears, cursors))
    reader = TrackReader(stores.engine, zones)
    return ServerNode(
        settings=settings,
        clock=clock,
        registry=registry,
        tasks=tasks,
        stores=stores,
        wire=wire,
        wire_options=wire_options,
        gateway=gateway,
        cursors=cursors,
        history=history,
        keeper=cursor_keeper,
        hub=hub,
        density=density,
        recorder=recorder,
        rates=rates,
        follower=follower,
        withdrawals=withdrawals,
        truth=truth,
        stream_watch=StreamWatch(stores.redis, stores.track_log, clock),
        rest=create_rest(
            RestServices(
                accounts=accounts,
                zones=zones,
                sharing=sharing,
                verifier=verifier,
                limits=stores.limits,
                reader=reader,
                tracks=TrackService(stores.engine, clock, reader, Cursors(sealer), stores.track_log),
                shapes=TrackShapes(stores.engine),
                exporter=TrackExporter(reader),
                importer=TrackImporter(ownership, recorder, track_store, clock),
            ),
            registry,
            version=VERSION,
            body_bytes=settings.request_body_bytes,
            import_bytes=settings.import_body_bytes,
            allowed_origins=settings.allowed_origins,
        ),
    )


def _stores(settings: Settings, clock: Clock, registry: CollectorRegistry, address: str) -> Stores:
    redis_url = settings.redis_url.get_secret_value()
    options = BusOptions(
        redis_url,
        timeout_seconds=settings.redis_timeout_seconds / 2,
        heartbeat_seconds=settings.bus_heartbeat_seconds,
        deaf_seconds=2 * settings.bus_heartbeat_seconds,
        keep_seconds=round(settings.position_life_seconds),
    )
    node_id = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    metrics = BusMetrics(registry)
    return Stores(
        engine=create_engine(
            settings.database_url.get_secret_value(),
            pool_size=settings.database_pool_size,
            max_overflow=settings.database_pool_overflow,
            connect_timeout_seconds=settings.database_connect_timeout_seconds,
            statement_timeout_seconds=settings.database_statement_timeout_seconds,
        ),
        redis=create_client(options, name="looks"),
        bus=RedisBus(node_id, clock, options, metrics),
        rooms=RedisRooms(settings.node_name, clock, options, metrics),
        hints=RedisStreamHints(clock, options, metrics),
        control=ControlLog(clock, options, remember_seconds=_revocation_memory_seconds(settings)),
        takeover=Takeover(options, node_id),
        track_log=RedisTrackLog(options, stream_limit_bytes=settings.stream_limit_bytes),
        policy_cache=RedisPolicyCache(options),
        register=NodeRegister(Node(node_id, address, clock.epoch_ms(), settings.node_name, VERSION), clock, options),
        counts=RegionCounts(
            options,
            node_id,
            life_seconds=LIFE_INTERVALS * settings.density_interval_seconds,
            deadline_seconds=min(settings.redis_timeout_seconds, max(0.5, settings.density_interval_seconds / 2)),
        ),
        limits=RateLimits(
            redis_url,
            clock,
            LimitOptions(
                settings.auth_requests_per_minute,
                settings.public_requests_per_window,
                settings.signed_in_requests_per_window,
                settings.request_window_seconds,
                settings.uploads_per_hour,
            ),
            followers=options.followers,
        ),
        master_watch=MasterWatch(create_maker(options, name="master-watch"), clock),
    )


def _hub_options(settings: Settings) -> HubOptions:
    return HubOptions(tick_seconds=settings.tick_milliseconds / 1000, age_limit_seconds=settings.position_life_seconds)


def _gateway_options(settings: Settings) -> GatewayOptions:
    return GatewayOptions(
        event_bytes=settings.event_bytes,
        batch_fixes=settings.batch_fixes,
        send_interval_ms=settings.unwatched_interval_milliseconds,
        revocation_memory_seconds=_revocation_memory_seconds(settings),
        limits={
            LOCATION_UPDATE.name: Limit(settings.updates_per_second, settings.updates_burst),
            LOCATION_BATCH.name: Limit(settings.batches_per_second, settings.batches_burst),
        },
    )


def _revocation_memory_seconds(settings: Settings) -> float:
    """Longer than any access token lives after its session was revoked, however far clocks are apart."""
    return settings.access_token_seconds + 5 * 60


def _wire_options(settings: Settings) -> WireOptions:
    return WireOptions(
        ping_interval_seconds=settings.ping_interval_seconds,
        ping_timeout_seconds=settings.ping_timeout_seconds,
        connect_within_seconds=settings.authenticate_within_seconds,
        event_bytes=settings.event_bytes,
        frame_bytes=settings.frame_bytes,
        queue_bytes=settings.socket_queue_bytes,
        queue_seconds=settings.socket_queue_seconds,
        compression=settings.websocket_compression,
        sockets=settings.sockets_per_node,
        sockets_per_address=settings.sockets_per_address,
        allowed_origins=settings.allowed_origins,
        trusted_proxies=settings.trusted_proxies,
        node_name=settings.node_name,
    )


def _show_to_admins(wire: Wire, settings: Settings) -> None:
    """Let the admin UI look in, where that is wished for: of real riders it is shown sums, and it changes nothing."""
    if not settings.admin_ui:
        return
    password = "" if settings.admin_password is None else settings.admin_password.get_secret_value()
    wire.instrument(
        auth={"username": "admin", "password": password} if password else False,
        mode="production" if settings.production else "development",
        read_only=settings.production,
        server_id=settings.node_name or None,
    )


def _secrets(keys: dict[str, SecretStr]) -> dict[str, str]:
    return {name: secret.get_secret_value() for name, secret in keys.items()}
