"""A whole OpenStack Swift (proxy with s3api, account, container, object) in one process.

Run as ``python -m tests.servers.swift_cluster FOLDER``. It listens on free ports of the
loopback, prints the S3 port as its only line of output, and ends when its standard input
closes: it cannot outlive whoever started it. It is a process of its own because Swift wants
eventlet's monkey patches.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ACCESS_KEY = "test:tester"
SECRET_KEY = "the-real-secret-of-the-test-account"
REGION = "us-east-1"

BACKENDS = ("account", "container", "object")

PROXY_CONF = """
[DEFAULT]
swift_dir = {folder}
log_level = ERROR

[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api tempauth bulk slo keymaster \
encryption proxy-server

[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
paste.filter_factory = tests.servers.swift_cluster:cache_in_process
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = {region}
dns_compliant_bucket_names = true
[filter:tempauth]
use = egg:swift#tempauth
user_{user} = {secret} .admin
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:keymaster]
use = egg:swift#keymaster
encryption_root_secret = {root_secret}
[filter:encryption]
use = egg:swift#encryption

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
"""

BACKEND_CONF = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
log_level = ERROR

[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{app}
"""


class _CacheInProcess:
    """What the proxy expects of memcached, in a dict: there is but one proxy."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def get(self, key: str, **_: Any) -> Any:
        return self._values.get(key)

    def set(self, key: str, value: Any, **_: Any) -> None:
        self._values[key] = value

    def delete(self, key: str, **_: Any) -> None:
        self._values.pop(key, None)

    def incr(self, key: str, delta: int = 1, **_: Any) -> int:
        self._values[key] = int(self._values.get(key, 0)) + delta
        return int(self._values[key])


def cache_in_process(_global_conf: Mapping[str, str], **_: str) -> Any:
    """Paste filter factory: puts one ``_CacheInProcess`` where Swift looks for memcached."""
    cache = _CacheInProcess()

    def wrap(app: Any) -> Any:
        def call(environ: dict[str, Any], start_response: Any) -> Any:
            environ["swift.cache"] = cache
            return app(environ, start_response)

        return call

    return wrap


def _object_app(folder: Path) -> str:
    """The object server on disk, or the one in memory where files take no attributes (tmpfs)."""
    probe = folder / "xattr-probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.swift.metadata", b"x" * 1024)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.EPERM, errno.ENOSPC):
            raise
        return "mem_object"
    return "object"


def _write_rings(folder: Path, ports: Mapping[str, int]) -> None:
    from swift.common.ring import RingBuilder

    for kind in BACKENDS:
        builder = RingBuilder(part_power=1, replicas=1, min_part_hours=0)
        address = {"ip": "127.0.0.1", "port": ports[kind]}
        address |= {"replication_ip": "127.0.0.1", "replication_port": ports[kind]}
        builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "device": "d"} | address)
        builder.rebalance()
        builder.get_ring().save(str(folder / f"{kind}.ring.gz"))


def _write_configuration(folder: Path) -> None:
    (folder / "devices" / "d").mkdir(parents=True)
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = test\nswift_hash_path_prefix = test\n"
    )
    proxy = PROXY_CONF.format(
        folder=folder,
        region=REGION,
        user=ACCESS_KEY.replace(":", "_"),
        secret=SECRET_KEY,
        root_secret="A" * 43 + "=",
    )
    (folder / "proxy.conf").write_text(proxy)
    for kind in BACKENDS:
        app = _object_app(folder) if kind == "object" else kind
        (folder / f"{kind}.conf").write_text(BACKEND_CONF.format(folder=folder, kind=kind, app=app))


def main(folder: Path) -> None:
    """Serve until standard input closes."""
    import eventlet

    # before anything of Swift is imported: its locks and sockets must be green
    eventlet.monkey_patch()
    import eventlet.debug
    import eventlet.wsgi
    from eventlet.green import os as green_os
    from swift.common import storage_policy, utils
    from swift.common.http_protocol import SwiftHttpProtocol
    from swift.common.wsgi import loadapp

    eventlet.debug.hub_exceptions(False)
    eventlet.wsgi.MAX_HEADER_LINE = 65536
    _write_configuration(folder)
    utils.set_swift_dir(str(folder))
    utils.validate_hash_conf()
    storage_policy.reload_storage_policies()

    listeners = {kind: eventlet.listen(("127.0.0.1", 0)) for kind in ("proxy", *BACKENDS)}
    ports = {kind: sock.getsockname()[1] for kind, sock in listeners.items()}
    _write_rings(folder, ports)
    for kind, sock in listeners.items():
        app = loadapp(str(folder / f"{kind}.conf"), global_conf={"log_name": kind})
        eventlet.spawn_n(
            eventlet.wsgi.server,
            sock,
            app,
            utils.NullLogger(),
            protocol=SwiftHttpProtocol,
            # boto3 wants "ETag"; eventlet would make it "Etag"
            capitalize_response_headers=False,
        )
    print(ports["proxy"], flush=True)
    # a plain read would hold up every green thread
    while green_os.read(sys.stdin.fileno(), 1):
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))
