"""Every setting, with its unit in its name and a default that works for `make run`; only here is the environment read.

Names in the environment are `THROTTLECOVE_` and the field in capitals; `DATABASE_URL` and `REDIS_URL` have no prefix.
In production mode a secret that is missing or too short stops the start, with a sentence and without its value.
"""

import difflib
import os
import re
import sys
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from domain.kit.redis_connections import check_redis_url

_DEVELOPMENT_SECRET = "development only: anybody can read this in the source"
_PREFIX = "THROTTLECOVE_"
_NO_SETTINGS = frozenset(("THROTTLECOVE_DATA",))
"""Variables with the prefix that tests and scripts read, and no server."""
_POSTGRES = ("postgresql", "postgres", "postgresql+asyncpg")
_ADDRESSES = ("database_url", "redis_url")
_MASK = "**********"
_SHORTEST_SECRET = 32
_SHORTEST_PASSWORD = 16
_LEAST_PASSWORD_KIB = 19 * 1024
_LEAST_PASSWORD_PASSES = 2
"""Characters: what `openssl rand -hex 16` prints."""

# No login, no placeholder, nothing that would end a word of a content security policy.
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?")

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class WrongSettings(Exception):
    """The environment has a setting that cannot be used; the message names the variable and shows no value."""


class MissingSecret(Exception):
    """Production mode was asked for and a secret is too short or still has its development value."""


class DemoLogin(BaseModel):
    """The login that the page of a demonstration offers; `password` is as public as the page."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identifier: str
    password: SecretStr


class Settings(BaseSettings):
    """The settings of a server or worker process."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    mode: Literal["development", "production"] = Field("development", description="`production` insists on secrets.")
    log_format: Literal["auto", "json", "console"] = Field("auto", description="`auto`: console in development.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least level written.")

    database_url: SecretStr = Field(
        SecretStr("postgresql://throttlecove@127.0.0.1:5432/throttlecove"),
        validation_alias="DATABASE_URL",
        description="PostgreSQL with PostGIS.",
    )
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        validation_alias="REDIS_URL",
        description="Redis 7.0 or newer, `appendfsync always` and `noeviction`: `redis://host:port/database`, "
        "`redis+sentinel://host:port,host:port/service` or `redis+cluster://host:port,host:port`; `rediss…` for TLS, "
        "with `?ssl_ca_certs=<file>`.",
    )
    database_pool_size: Positive = Field(10, description="Connections kept open.")
    database_pool_overflow: int = Field(10, ge=0, description="Connections opened beyond that when busy.")
    database_connect_timeout_seconds: Seconds = Field(2, description="Longest wait for a new connection.")
    database_statement_timeout_seconds: Seconds = Field(30, description="Longest statement, ended by Postgres.")

    token_algorithm: Literal["HS256", "EdDSA"] = Field("HS256", description="How access tokens are signed.")
    token_keys: dict[str, SecretStr] = Field(
        {"development": SecretStr(_DEVELOPMENT_SECRET)},
        description="Key id to secret (HS256) or PEM private key (EdDSA), as JSON; old keys stay while needed.",
    )
    token_active_key: str = Field("development", description="The key id that signs new tokens.")
    access_token_seconds: Positive = Field(15 * 60, description="Life of an access token.")
    refresh_token_seconds: Positive = Field(7 * 24 * 3600, description="Life of a refresh token.")
    refresh_grace_seconds: Positive = Field(60, description="How long the previous refresh token is honoured.")
    seal_keys: dict[str, SecretStr] = Field(
        {"development": SecretStr(_DEVELOPMENT_SECRET)},
        description="Key id to secret for personal values at rest, as JSON; old keys stay for opening.",
    )
    seal_active_key: str = Field("development", description="The key id that seals new values.")

    password_memory_kib: Annotated[int, Field(ge=8)] = Field(
        64 * 1024, description="Memory of one argon2id hash; two are made at once. Stored hashes follow at sign-in."
    )
    password_passes: Positive = Field(3, description="Passes of one argon2id hash over its memory.")

    auth_requests_per_minute: Positive = Field(5, description="Sign-in attempts of one address and account.")
    public_requests_per_window: Positive = Field(100, description="REST requests of one address without a token.")
    signed_in_requests_per_window: Positive = Field(1000, description="REST requests of one rider.")
    request_window_seconds: Positive = Field(15 * 60, description="The window of the two above.")
    request_body_bytes: Positive = Field(1 << 20, description="Largest REST request body.")
    import_body_bytes: Positive = Field(64 << 20, description="Largest GPX file that is imported.")
    uploads_per_hour: Positive = Field(10, description="Files that one rider may send.")
    trusted_proxies: str = Field("127.0.0.1", description="Addresses whose X-Forwarded-For is believed.")

    zone_secret: SecretStr = Field(
        SecretStr(_DEVELOPMENT_SECRET), description="Decides how privacy zones are displaced; never change it."
    )

    node_name: str = Field(
        "",
        pattern=r"^[a-z0-9-]{0,32}$",
        description="Begins this node's Engine.IO session ids, so that a proxy can bring long-polling back to it; "
        "with `--nodes` each node adds its number (`one.0`).",
    )
    allowed_origins: Annotated[list[str], NoDecode] = Field(
        ["*"],
        description="Origins whose browser pages may use REST and sockets, separated by commas; `*` is any (tokens, "
        "not cookies, authorise).",
    )
    web_directory: str = Field(
        "web/dist", description="The built live map page; relative to the directory of the server's source."
    )
    map_style_url: str | None = Field(
        None, description="A MapLibre style for the page; without it and `tile_url` the page draws its own plain map."
    )
    tile_url: str | None = Field(
        None, description="Raster tiles under the page's map, with `{z}`, `{x}` and `{y}`; a style goes before it."
    )
    tile_attribution: str | None = Field(None, description="Whom the page credits for the tiles.")
    map_hosts: Annotated[list[str], NoDecode] = Field(
        [], description="Further origins that the style loads from (glyphs, sprites, tiles), separated by commas."
    )
    demo_login: DemoLogin | None = Field(
        None, description="The login a demonstration's page offers, as JSON; never in production mode."
    )

    sockets_per_address: Positive = Field(20, description="Sockets open at once from one address.")
    sockets_per_node: Positive = Field(18_000, description="Sockets open at once on one node.")
    ping_interval_seconds: Seconds = Field(25, description="Engine.IO heartbeat.")
    ping_timeout_seconds: Seconds = Field(20, description="Silence after a ping that ends a socket.")
    event_bytes: Positive = Field(512 * 1024, description="Largest event; larger ones are answered `too_large`.")
    frame_bytes: Positive = Field(1 << 20, description="Largest frame; larger ones close the socket.")
    authenticate_within_seconds: Seconds = Field(10, description="A socket without CONNECT is closed after this.")
    socket_queue_bytes: Positive = Field(1 << 20, description="Unsent bytes after which a socket is closed.")
    socket_queue_seconds: Seconds = Field(
        30, description="How long something durable may wait for a slow socket before it is closed."
    )
    websocket_compression: bool = Field(False, description="Whether clients may compress what they send.")

    drain_notice_seconds: Annotated[float, Field(ge=0)] = Field(
        0, description="From SIGTERM until sockets are sent away: what a load balancer takes to see `/ready` refuse."
    )
    drain_seconds: Seconds = Field(
        10,
        description="Limit, after that, for sockets to be sent away, requests to be answered and the process to end.",
    )

    admin_ui: bool = Field(
        False, description="Whether Socket.IO's admin UI may look in (namespace `/admin`): sums alone in production."
    )
    admin_password: SecretStr | None = Field(
        None, description="Its password, for the user `admin`; without one it is open, and in production not there."
    )

    tick_milliseconds: Positive = Field(200, description="Length of a tick: frames, bus batches, group commits.")
    position_life_seconds: Seconds = Field(300, description="A dot without news leaves the map after this.")
    watched_interval_milliseconds: Positive = Field(1000, description="Send interval of a rider somebody watches.")
    unwatched_interval_milliseconds: Positive = Field(5000, description="Send interval of a rider nobody watches.")
    updates_per_second: Seconds = Field(5, description="`location:update` a socket may send, sustained.")
    updates_burst: Positive = Field(200, description="`location:update` a socket may send at once.")
    batches_per_second: Seconds = Field(5, description="`location:batch` a socket may send, sustained.")
    batches_burst: Positive = Field(20, description="`location:batch` a socket may send at once.")
    batch_fixes: Annotated[int, Field(gt=0, le=1000)] = Field(1000, description="Fixes in one `location:batch`.")
    density_interval_seconds: Seconds = Field(2, description="How often riders are counted for zoomed-out viewers.")
    watch_cells: Annotated[int, Field(ge=7, le=1000)] = Field(64, description="Cells that one viewport may need.")

    stream_limit_bytes: Positive = Field(
        2 << 30, description="Size of the track stream in Redis at which positions are refused."
    )
    pending_fixes: Positive = Field(100_000, description="Fixes a node holds between two group commits.")
    redis_timeout_seconds: Seconds = Field(2, description="Silence of Redis that counts as gone.")
    bus_heartbeat_seconds: Seconds = Field(1, description="How often a node proves that it hears the bus.")

    worker_batch_bytes: Positive = Field(1_500_000, description="Encoded bytes stored in one transaction.")
    worker_claim_idle_seconds: Seconds = Field(10, description="Silence after which a worker's entries are taken over.")
    stream_history_days: Annotated[float, Field(gt=0)] = Field(
        30, description="Age at which durable events are deleted; who was away for longer gets a snapshot."
    )
    finish_after_seconds: Seconds = Field(24 * 3600, description="An open track without news is finished after this.")
    worker_metrics_port: int = Field(0, ge=0, le=65535, description="Port of the worker's /metrics; 0 is none.")

    @model_validator(mode="before")
    @classmethod
    def _split_origins(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        split = dict(values)
        for name in ("allowed_origins", "map_hosts"):
            if isinstance(text := values.get(name), str):
                split[name] = [origin.strip() for origin in text.split(",") if origin.strip()]
        return split

    @field_validator("database_url")
    @classmethod
    def _is_address(cls, url: SecretStr) -> SecretStr:
        if not _is_postgres(url.get_secret_value()):
            raise ValueError(f"must be an address that begins with {_POSTGRES[0]}://, with a number as its port")
        return url

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr) -> SecretStr:
        check_redis_url(url.get_secret_value())
        return url

    @model_validator(mode="after")
    def _keys_are_there(self) -> Self:
        for keys, active in (("token_keys", "token_active_key"), ("seal_keys", "seal_active_key")):
            if getattr(self, active) not in getattr(self, keys):
                raise ValueError(f"{_variable(keys)} has no key of the name in {_variable(active)}")
        return self

    @model_validator(mode="after")
    def _events_fit_into_frames(self) -> Self:
        if self.event_bytes > self.frame_bytes:
            event, frame = _variable("event_bytes"), _variable("frame_bytes")
            raise ValueError(f"{event} is at most {frame}: a larger frame closes its socket whatever is in it")
        return self

    @model_validator(mode="after")
    def _maps_have_hosts(self) -> Self:
        for host in self.map_hosts:
            if _origin("map_hosts", host) != host:
                raise ValueError(f"{_variable('map_hosts')} takes origins like https://tiles.example.org")
        _origin("map_style_url", self.map_style_url or "/")
        _origin("tile_url", self.tile_url or "/")
        return self

    @property
    def map_origins(self) -> tuple[str, ...]:
        """The origins that the page may load maps from, beside its own."""
        urls = (("map_style_url", self.map_style_url), ("tile_url", self.tile_url))
        found = [_origin(name, url) for name, url in urls if url]
        return tuple(dict.fromkeys(origin for origin in [*found, *self.map_hosts] if origin))

    @property
    def production(self) -> bool:
        """Whether this process serves real riders."""
        return self.mode == "production"

    def require_secrets(self) -> None:
        """Raise MissingSecret, naming the setting, when production mode would run with a secret that is none.

        The same for costs of passwords that protect nobody.
        """
        if not self.production:
            return
        for name in ("token_keys", "seal_keys"):
            if not all(map(_is_secret, getattr(self, name).values())):
                raise MissingSecret(
                    f'set THROTTLECOVE_{name.upper()} to {{"<key id>": "<secret>"}} and the active key\'s name beside '
                    f"it; a secret has at least {_SHORTEST_SECRET} characters: openssl rand -hex 32"
                )
        if self.password_memory_kib < _LEAST_PASSWORD_KIB or self.password_passes < _LEAST_PASSWORD_PASSES:
            raise MissingSecret(
                f"THROTTLECOVE_PASSWORD_MEMORY_KIB is at least {_LEAST_PASSWORD_KIB} and THROTTLECOVE_PASSWORD_PASSES "
                f"at least {_LEAST_PASSWORD_PASSES} in production (OWASP's Password Storage Cheat Sheet)"
            )
        if self.admin_ui and not _is_password(self.admin_password):
            raise MissingSecret(
                f"set THROTTLECOVE_ADMIN_PASSWORD to at least {_SHORTEST_PASSWORD} characters, or do without "
                "THROTTLECOVE_ADMIN_UI"
            )
        if not _is_secret(self.zone_secret):
            raise MissingSecret(
                f"set THROTTLECOVE_ZONE_SECRET to at least {_SHORTEST_SECRET} characters, and never change them: "
                "openssl rand -hex 32"
            )

    def shown(self) -> dict[str, Any]:
        """All settings; secrets are masked, and of an address with a login only the login."""
        return self.model_dump(mode="json") | {name: _without_login(getattr(self, name)) for name in _ADDRESSES}

    def changed(self) -> dict[str, Any]:
        """The settings that differ from their defaults, as `shown`."""
        fields = type(self).model_fields
        return {name: value for name, value in self.shown().items() if getattr(self, name) != fields[name].default}


def _without_login(url: SecretStr) -> str:
    """The address with its login and its options masked, either of which may have a password."""
    scheme, _, rest = url.get_secret_value().partition("://")
    # The last one: drivers and people disagree about an @ in a password, and none of it may be seen.
    login, _, place = rest.rpartition("@")
    where, _, options = place.partition("?")
    return f"{scheme}://{_MASK + '@' if login else ''}{where}{'?' + _MASK if options else ''}"


def _is_secret(value: SecretStr) -> bool:
    text = value.get_secret_value()
    return len(text.strip()) >= _SHORTEST_SECRET and text != _DEVELOPMENT_SECRET


def _is_password(value: SecretStr | None) -> bool:
    return value is not None and len(value.get_secret_value().strip()) >= _SHORTEST_PASSWORD


def _origin(name: str, url: str) -> str:
    """`scheme://host[:port]` of a map's address, "" for a path on this server. Raises ValueError for anything else."""
    if url.startswith("/") and not url.startswith("//"):
        return ""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(parts.netloc):
        raise ValueError(f"{_variable(name)} must be a path, or begin with http:// or https:// and a plain host name")
    return f"{parts.scheme}://{parts.netloc}"


def _is_postgres(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # There may be several hosts, each with its port; only drivers can tell whether those are right.
        several = "," in parts.netloc
        return parts.scheme in _POSTGRES and (several or parts.port is None or parts.port > 0)
    except ValueError:
        return False


def load() -> Settings:
    """The settings of this process; ends it with status 2, after a sentence, when they are wrong."""
    try:
        return read()
    except WrongSettings as wrong:
        sys.stderr.write(f"{wrong}\n")
        raise SystemExit(2) from None


def read() -> Settings:
    """The settings of this process. Raises WrongSettings, naming each variable that is wrong or missing."""
    try:
        settings = Settings()
        settings.require_secrets()
    except ValidationError as wrong:
        faults = [(fault["loc"], fault["msg"].removeprefix("Value error, ")) for fault in wrong.errors()]
        raise WrongSettings("\n".join(_sentence(place, fault) for place, fault in faults)) from None
    except SettingsError as wrong:
        (name, *_) = re.findall(r'field "(\w+)"', str(wrong)) or ["settings"]
        raise WrongSettings(f"{_variable(name)}: must be JSON") from None
    except MissingSecret as wrong:
        raise WrongSettings(str(wrong)) from None
    return settings


def unknown_variables() -> list[str]:
    """A sentence for each variable that looks like a setting and is none, with the setting that it may mean."""
    known = {_variable(name) for name in Settings.model_fields} | _NO_SETTINGS
    unknown = sorted(name for name in os.environ if name.startswith(_PREFIX) and name not in known)
    return [f"{name} is no setting and has no effect{_guess(name, known)}" for name in unknown]


def _guess(name: str, known: set[str]) -> str:
    return "".join(f"; did you mean {near}?" for near in difflib.get_close_matches(name, known, n=1))


def _sentence(place: tuple[int | str, ...], fault: str) -> str:
    """The fault with its variable; what concerns several settings names them by itself."""
    return f"{_variable(str(place[0]))}: {fault}" if place else fault


def _variable(name: str) -> str:
    """The name in the environment of a setting."""
    field = Settings.model_fields.get(name)
    return name if field is None else str(field.validation_alias or f"{_PREFIX}{name.upper()}")
