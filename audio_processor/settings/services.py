"""Where the rows and the objects are: the database and the store."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from audio_processor.settings.base import (
    DatabaseName,
    Group,
    HeaderValue,
    Host,
    Prefix,
    Problem,
    Url,
    setting,
)

_DEFAULT_PORTS = {"mysql": 3306, "postgresql": 5432}


class DatabaseSettings(Group):
    """The database that holds the `Uploads` table."""

    type: Literal["sqlite", "mysql", "postgresql"] = setting(
        "sqlite",
        "Kind of server; `mysql` is MySQL 8/9 and MariaDB.",
        also=("kind", "engine", "db_type"),
    )
    path: Path = setting(
        Path("data/audio-processor.db"), "SQLite's file; its folder is made.", also=("file",)
    )
    host: Host | None = setting(
        None,
        "Server's host name or address.",
        also=("hostname", "server"),
        example="db.example.net",
    )
    port: int | None = setting(
        None,
        "Server's port; 3306 for mysql and 5432 for postgresql unless given.",
        ge=1,
        le=65535,
        example=5432,
    )
    user: str | None = setting(None, "User to log in as.", also=("username",), example="audio")
    password: SecretStr | None = setting(
        None, "The user's password.", also=("pass", "passwd"), example="…"
    )
    password_file: Path | None = setting(
        None, "File that holds the password instead.", example="/run/secrets/db-password"
    )
    name: DatabaseName | None = setting(
        None,
        "Database on the server.",
        also=("database", "db", "db_name", "dbname", "schema"),
        example="music",
    )
    pool_size: int = setting(
        5, "Connections kept open; one more for each job at work is made when needed.", ge=1, le=100
    )
    connect_timeout_s: float = setting(10.0, "How long to wait for a connection.", gt=0, le=300)
    tls: bool = setting(False, "Whether to speak TLS with the server.", also=("ssl",))
    tls_verify: bool = setting(True, "Whether to check the server's certificate and name.")
    tls_ca_file: Path | None = setting(
        None,
        "Certificates to trust instead of the system's.",
        also=("ssl_ca", "tls_ca"),
        example="/etc/ssl/db-ca.pem",
    )

    @property
    def resolved_port(self) -> int | None:
        """The port that is used: the given one, else the server kind's own; None for SQLite."""
        return self.port or _DEFAULT_PORTS.get(self.type)

    def problems(self) -> Iterator[Problem]:
        """Yield what a server needs and SQLite cannot use."""
        if self.password_file is not None and self.password is None:
            yield Problem(
                "password_file", "is read by load_settings() only; give the password itself here"
            )
        if self.tls_ca_file is not None and not self.tls:
            yield Problem("tls_ca_file", "has no effect without TLS: set database.tls = true")
        if self.type == "sqlite":
            for key in ("host", "user", "password", "name"):
                if getattr(self, key) is not None:
                    yield Problem(
                        key,
                        "is for a database server, but database.type is 'sqlite': "
                        "set database.type to 'mysql' or 'postgresql', or remove it",
                    )
            if self.tls:
                yield Problem("tls", "is for a database server, but database.type is 'sqlite'")
            return
        for key in ("host", "user", "name"):
            if not getattr(self, key):
                yield Problem(key, f"is required where database.type is '{self.type}'")


class CacheControlSettings(Group):
    """`Cache-Control` of each kind of published object; an empty text sends none.

    Segments and the playlists beside them never change: a track that is processed again gets
    new ones, and its master playlist leads to these. The others keep their names.
    """

    playlist: HeaderValue = setting("public, max-age=300", "Master and tier playlists.")
    segment: HeaderValue = setting(
        "public, max-age=31536000, immutable",
        "Media segments, and the tier playlists that the master leads to.",
        also=("segments", "ts"),
    )
    m4a: HeaderValue = setting("public, max-age=86400", "The `.m4a` download.")
    metadata: HeaderValue = setting("public, max-age=300", "`metadata.json` and `waveform.json`.")


class StorageSettings(Group):
    """The object store that tracks are fetched from and published to."""

    kind: Literal["folder", "s3"] = setting(
        "folder",
        "`s3` is Amazon S3 and everything that speaks its protocol.",
        also=("type", "backend"),
    )
    folder: Path = setting(
        Path("data/store"), "The store's root where kind is `folder`.", also=("path", "root")
    )
    bucket: str | None = setting(
        None, "Bucket where kind is `s3`.", also=("s3_bucket", "bucket_name"), example="my-bucket"
    )
    endpoint_url: Url | None = setting(
        None,
        "Server of an S3 that is not Amazon's.",
        also=("endpoint", "url", "s3_endpoint"),
        example="https://s3.example.net",
    )
    region: str | None = setting(
        None, "Region; else `AWS_REGION`, else `AWS_DEFAULT_REGION`.", example="eu-central-1"
    )
    access_key_id: str | None = setting(
        None,
        "Access key; else `AWS_ACCESS_KEY_ID`, else whatever role the machine has.",
        also=("access_key", "key_id", "aws_access_key_id"),
        example="AKIA…",
    )
    secret_access_key: SecretStr | None = setting(
        None,
        "Its secret; else `AWS_SECRET_ACCESS_KEY`.",
        also=("secret_key", "secret", "aws_secret_access_key"),
        example="…",
    )
    secret_access_key_file: Path | None = setting(
        None, "File that holds the secret instead.", example="/run/secrets/s3-secret"
    )
    session_token: SecretStr | None = setting(
        None, "Token of temporary credentials; else `AWS_SESSION_TOKEN`.", example="…"
    )
    addressing_style: Literal["auto", "path", "virtual"] = setting(
        "auto", "Bucket in the path or in the host name; most S3 servers want `path`."
    )
    sse: Literal["none", "AES256", "aws:kms"] = setting(
        "none", "Server-side encryption asked for.", also=("server_side_encryption", "encryption")
    )
    sse_kms_key_id: str | None = setting(
        None, "Key for `aws:kms`; the account's own unless given.", example="alias/audio"
    )
    checksum_mode: Literal["when_required", "when_supported"] = setting(
        "when_required", "`when_supported` makes uploads carry checksums that older servers refuse."
    )
    storage_class: str | None = setting(
        None, "Storage class of published objects.", example="STANDARD_IA"
    )
    part_size_mib: int = setting(16, "Part of a multipart transfer.", ge=5, le=512)
    max_concurrency: int = setting(4, "Parts of one object in transfer at once.", ge=1, le=32)
    connect_timeout_s: float = setting(10.0, "How long to wait for a connection.", gt=0, le=300)
    read_timeout_s: float = setting(60.0, "How long to wait for an answer.", gt=0, le=900)
    attempts: int = setting(
        5, "Tries of one request before the store counts as unavailable.", ge=1, le=20
    )
    raw_prefix: Prefix = setting("tracks/", "Where uploads land.")
    processed_prefix: Prefix = setting("mwonya_audio_tracks/", "Where finished tracks go.")
    failed_prefix: Prefix = setting(
        "failedprocessing_tracks/", "Where the upload of a failed track is moved."
    )
    cache_control: CacheControlSettings = CacheControlSettings()

    def problems(self) -> Iterator[Problem]:
        """Yield what S3 needs, what would be ignored without it, and prefixes that collide."""
        yield from self._credential_problems()
        if self.kind == "s3" and not self.bucket:
            yield Problem("bucket", "is required where storage.kind is 's3'")
        if self.kind == "folder":
            for key in ("bucket", "endpoint_url"):
                if getattr(self, key) is not None:
                    yield Problem(
                        key,
                        "is for S3, but storage.kind is 'folder': "
                        "set storage.kind = 's3', or remove it",
                    )
        if self.sse_kms_key_id is not None and self.sse != "aws:kms":
            yield Problem("sse_kms_key_id", "has no effect without storage.sse = 'aws:kms'")
        for one, other in permutations(("raw_prefix", "processed_prefix", "failed_prefix"), 2):
            outer, inner = getattr(self, one), getattr(self, other)
            if inner.startswith(outer) and (inner != outer or one < other):
                yield Problem(
                    other, f"'{inner}' lies inside storage.{one}, '{outer}': keep them apart"
                )

    def _credential_problems(self) -> Iterator[Problem]:
        if self.kind != "s3":
            return
        if self.secret_access_key_file is not None and self.secret_access_key is None:
            yield Problem(
                "secret_access_key_file",
                "is read by load_settings() only; give the secret itself",
            )
        elif self.access_key_id is not None and self.secret_access_key is None:
            yield Problem("secret_access_key", "is required with storage.access_key_id")
        if self.secret_access_key is not None and self.access_key_id is None:
            yield Problem("access_key_id", "is required with storage.secret_access_key")
        if self.session_token is not None and self.access_key_id is None:
            yield Problem("access_key_id", "is required with storage.session_token")
