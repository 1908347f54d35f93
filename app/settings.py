"""Settings: environment variables that start with EARMARK_, read once where a process is assembled.

docs/settings.md lists every field; a test compares the two.
"""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.domain.addresses import IntranetHosts
from app.domain.permissions import Role
from app.domain.preferences import Preferences
from app.domain.retention import DAYS_LIMIT, FEWEST_AUDIT_DAYS, ColdClass, Retention

PREFIX = "EARMARK_"


class SettingsError(Exception):
    """One clear line that names the variable."""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Settings(BaseSettings):
    """All settings of all processes; each field's description is its documentation."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="Address to listen on. Other than loopback only with an OIDC issuer.")
    port: int = Field(8080, ge=1, le=65535, description="Port to listen on.")
    data_dir: Path = Field(Path("data"), description="Folder of everything that Earmark keeps by itself.")
    public_url: str | None = Field(
        None, description="Address under which browsers reach the portal, if it differs (behind a proxy)."
    )
    web_processes: int = Field(1, ge=1, le=64, description="Web processes that share the port.")
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Addresses of proxies whose X-Forwarded headers count, separated by commas."
    )

    intranet_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names, addresses and networks of your own network that webhooks and `source_url` may call, "
        "separated by commas.",
    )

    database_url: str | None = Field(
        None,
        description="PostgreSQL as postgresql+asyncpg://user:password@host/name. Default: SQLite in the data folder.",
    )
    redis_url: str | None = Field(
        None, description="Redis or Valkey as redis://host:6379/0. Default: an embedded Valkey."
    )
    storage_url: str | None = Field(
        None, description="S3 bucket as s3://bucket/prefix. Default: a folder in the data folder."
    )
    storage_endpoint: str | None = Field(None, description="Address of an S3 service other than Amazon's.")
    storage_region: str = Field("us-east-1", description="Region of the S3 service.")
    storage_access_key_id: str | None = Field(None, description="Access key of the S3 service.")
    storage_secret_access_key: SecretStr | None = Field(None, description="Secret key of the S3 service.")

    oidc_issuer: str | None = Field(None, description="OpenID Connect issuer. Without one: local mode, loopback only.")
    oidc_client_id: str = Field("earmark", description="Client id at the issuer.")
    oidc_client_secret: SecretStr | None = Field(
        None, description="Client secret at the issuer; none for a public client."
    )
    oidc_scopes: str = Field("openid profile email", description="Scopes asked for at sign-in.")
    oidc_role_claim: str = Field("groups", description="Claim of the ID token that carries groups or roles.")
    oidc_role_map: Annotated[dict[str, Role], NoDecode] = Field(
        default_factory=dict,
        description='Which value of the claim gives which role, as JSON: {"curators": "reviewer"}.',
    )
    oidc_default_role: Role | None = Field(
        None, description="Role of people whom the map gives none. Default: they are not let in."
    )
    oidc_audience: str | None = Field(
        None,
        description="Audience of access tokens that programs get from the issuer. Default: only API keys are accepted.",
    )
    session_hours: float = Field(12, gt=0, le=24 * 30, description="How long a sign-in lasts.")
    secret_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="Key that signs CSRF tokens and seals the secrets of webhooks: the same for all processes. "
        "Default: made once and kept in the data folder.",
    )

    api_keys_per_user: int = Field(10, ge=0, le=1000, description="Valid API keys that one person may have.")
    rate_limits: Annotated[dict[Role, int], NoDecode] = Field(
        default_factory=lambda: {Role.VIEWER: 3000, Role.UPLOADER: 6000, Role.REVIEWER: 6000, Role.ADMIN: 6000},
        description="API requests a minute that one caller of each role may send, as JSON; 0 or none named: no limit. "
        'Default: {"viewer": 3000, "uploader": 6000, "reviewer": 6000, "admin": 6000}.',
    )

    queue_limit: int = Field(
        50_000,
        ge=1,
        description="Jobs that may wait: single uploads so many, batches and whole recordings as many. "
        "Beyond it uploads are refused for a while.",
    )
    queue_limit_per_owner: int = Field(
        20_000, ge=1, description="Jobs of one person or API key that may wait, counted in the same way."
    )

    clamd_url: str | None = Field(
        None,
        description="ClamAV daemon that scans every file before it is accepted, as unix:///run/clamav/clamd.ctl or "
        "tcp://host:3310. While it does not answer, nothing is accepted. Default: nothing is scanned.",
    )
    upload_limit_bytes: int = Field(
        30_000_000, ge=1_000, description="Largest accepted file, in bytes; an admin may change it."
    )
    review_threshold: float = Field(
        0.60, ge=0, le=1, description="Top-1 probability below which a person reviews; an admin may change it."
    )
    organisation: str = Field(
        "", max_length=120, description="Name of the organisation, shown on every page; an admin may change it."
    )
    footer: str = Field(
        "",
        max_length=300,
        description="Notice at the foot of every page; an admin may change it. Default: for staff of the organisation only.",
    )
    time_zone: str = Field(
        "UTC", description="Time zone of dates, such as Asia/Shanghai, until a browser has said where it is."
    )

    models_dir: Path | None = Field(
        None, description="Folder of the model bundles. Default: models in the data folder."
    )
    model_url: str | None = Field(None, description="Address that `earmark model pull` downloads the checkpoint from.")
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="Where the network runs: auto, cpu, cuda, cuda:1."
    )
    device_memory_fraction: float = Field(
        1.0, ge=0.05, le=1, description="Share of a GPU's memory that one worker may take."
    )
    precision: Literal["auto", "fp32", "bf16", "int8"] = Field(
        "auto", description="Number format of the network: auto, fp32, bf16, int8."
    )
    batch_windows: int = Field(16, ge=1, le=1024, description="Most windows in one forward pass.")
    decode_processes: int = Field(2, ge=1, le=64, description="Decoder processes beside one worker.")
    decode_timeout_s: float = Field(20, gt=0, le=600, description="Longest time for decoding one file, in seconds.")
    threads: int | None = Field(
        None,
        ge=1,
        description="Threads of the forward pass, and of the pictures before it. Default: one for each core.",
    )
    lease_s: float = Field(
        20, ge=2, le=600, description="After this many seconds without a sign of life a job is given to another worker."
    )
    job_limit_s: float = Field(
        600,
        ge=2,
        le=86_400,
        description="A worker in which a job makes no progress for so many seconds ends itself and is started again; "
        "at the third time the job fails.",
    )
    drain_s: float = Field(30, ge=0, le=600, description="How long running jobs may go on after a stop was asked for.")

    metrics_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="What asks for metrics has to send it as a bearer token. Without one: none at /metrics.",
    )
    worker_metrics_host: str = Field("127.0.0.1", description="Address on which a worker answers /metrics.")
    worker_metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Port on which a worker answers /metrics. Default: it does not."
    )

    retention_audio_days: int = Field(
        0, ge=0, le=DAYS_LIMIT, description="Days after which audio is deleted; 0: never; an admin may change it."
    )
    retention_results_days: int = Field(
        0,
        ge=0,
        le=DAYS_LIMIT,
        description="Days after which recordings are deleted with their results; 0: never; an admin may change it.",
    )
    retention_audit_days: int = Field(
        0,
        ge=0,
        le=DAYS_LIMIT,
        description="Days after which entries of the audit log are deleted, 30 at least; 0: never; an admin may change it.",
    )
    retention_cold_days: int = Field(
        0,
        ge=0,
        le=DAYS_LIMIT,
        description="Days after which audio on S3 moves to the cold storage class; 0: never; an admin may change it.",
    )
    retention_keep_reviewed: bool = Field(
        True, description="Keep recordings that people have decided on, whatever their age; an admin may change it."
    )
    storage_cold_class: ColdClass = Field(
        ColdClass.STANDARD_IA,
        description="Cold storage class of S3: STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR.",
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console at a terminal, json elsewhere."
    )
    log_file: Path | None = Field(None, description="Also write the log to this file (rotated at 20 MB, five kept).")

    @field_validator("retention_audit_days")
    @classmethod
    def _long_enough(cls, value: int) -> int:
        if 0 < value < FEWEST_AUDIT_DAYS:
            raise ValueError(f"must be 0 or at least {FEWEST_AUDIT_DAYS}")
        return value

    @field_validator("trusted_proxies", "intranet_hosts", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("intranet_hosts")
    @classmethod
    def _hosts_or_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        IntranetHosts.parse(value)
        return value

    @field_validator("oidc_role_map", "rate_limits", mode="before")
    @classmethod
    def _parse_json(cls, value: object) -> object:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except json.JSONDecodeError as error:
            raise ValueError(f"is not JSON: {error.msg}") from error
        except RecursionError:
            raise ValueError("is nested too deeply") from None

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql+asyncpg://", "sqlite+aiosqlite://")):
            raise ValueError("must start with postgresql+asyncpg:// or sqlite+aiosqlite://")
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return value

    @field_validator("storage_url")
    @classmethod
    def _known_storage(cls, value: str | None) -> str | None:
        if value is not None and (not value.startswith("s3://") or not urlsplit(value).netloc):
            raise ValueError("must look like s3://bucket or s3://bucket/prefix")
        return value

    @field_validator("clamd_url")
    @classmethod
    def _known_scanner(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if not (parts.path if parts.scheme == "unix" else parts.scheme == "tcp" and parts.hostname):
            raise ValueError("must look like unix:///run/clamav/clamd.ctl or tcp://host:3310")
        return value

    @field_validator("public_url", "oidc_issuer", "storage_endpoint", "model_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme not in ("http", "https"):
            raise ValueError("must start with http:// or https://")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be the name of a time zone, such as Asia/Shanghai") from None

    @model_validator(mode="after")
    def _no_open_door(self) -> Self:
        if self.local_mode and not _is_loopback(self.host):
            raise ValueError(
                f"{PREFIX}HOST={self.host} would open Earmark to a network without sign-in: "
                f"set {PREFIX}OIDC_ISSUER, or listen on 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _no_open_metrics(self) -> Self:
        if not _is_loopback(self.worker_metrics_host) and self.metrics_token is None:
            raise ValueError(f"{PREFIX}METRICS_TOKEN is needed beside {PREFIX}WORKER_METRICS_HOST")
        return self

    @model_validator(mode="after")
    def _way_back_from_the_issuer(self) -> Self:
        if not self.local_mode and self.public_url is None and self.host in ("0.0.0.0", "::"):  # noqa: S104
            raise ValueError(
                f"{PREFIX}PUBLIC_URL is needed beside {PREFIX}HOST={self.host}: the issuer sends people there"
            )
        return self

    @property
    def local_mode(self) -> bool:
        """No identity provider: one person on this machine, let in by a printed link."""
        return self.oidc_issuer is None

    @property
    def base_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")

    @property
    def intranet(self) -> IntranetHosts:
        return IntranetHosts.parse(self.intranet_hosts)

    @property
    def database_dsn(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir.resolve() / 'earmark.db'}"

    @property
    def storage_dir(self) -> Path:
        return self.data_dir / "files"

    @property
    def preferences(self) -> Preferences:
        """The defaults of what admins may change in the portal."""
        return Preferences(
            review_threshold=self.review_threshold,
            upload_limit_bytes=self.upload_limit_bytes,
            organisation=self.organisation,
            footer=self.footer,
            retention=self.retention,
        )

    @property
    def retention(self) -> Retention:
        return Retention(
            audio_days=self.retention_audio_days,
            results_days=self.retention_results_days,
            audit_days=self.retention_audit_days,
            cold_days=self.retention_cold_days,
            keep_reviewed=self.retention_keep_reviewed,
        )

    @property
    def bundles_dir(self) -> Path:
        return self.models_dir or self.data_dir / "models"

    @property
    def cache_dir(self) -> Path:
        """What can be measured or computed anew."""
        return self.data_dir / "cache"

    @cached_property
    def signing_key(self) -> str:
        """The configured secret, or one made at the first start and kept in the data folder, readable by its owner only."""
        if self.secret_key is not None:
            return self.secret_key.get_secret_value()
        path = self.data_dir / "secret.key"
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
        except FileExistsError:
            pass
        return path.read_text().strip()

    def prepare_data_dir(self) -> None:
        """Make the data folder, for its owner only, and prove that it can be written to.

        Raises:
            SettingsError: it can't.
        """
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            probe = self.data_dir / f".probe-{secrets.token_hex(4)}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise SettingsError(f"{PREFIX}DATA_DIR: can't write to {self.data_dir}: {error.strerror}") from error


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: one line for the first wrong value, naming its variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        message = str(first["msg"]).removeprefix("Value error, ")
        name = f"{PREFIX}{str(first['loc'][0]).upper()}: " if first["loc"] else ""
        raise SettingsError(f"{name}{message}") from None
