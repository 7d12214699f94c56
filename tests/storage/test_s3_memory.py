"""A 200 MB object goes up and comes down in memory that does not grow with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.servers.s3 import S3Server

SIZE = 200 * 1000 * 1000
ALLOWED_GROWTH_BYTES = 64 * 1024 * 1024

TRANSFER = """
import json, re, sys
from pathlib import Path
from audio_processor.storage import S3Options, open_store

def peak_rss():
    # not ru_maxrss: that starts with what the parent had when it forked
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", status).group(1)) * 1024

folder, options = Path(sys.argv[1]), json.loads(sys.stdin.read())
store = open_store(S3Options(**options))
store.write(b"warm", "warm", content_type="audio/wav")  # imports, TLS, parsers: paid once
store.read("warm", max_bytes=4)
before = peak_rss()
store.upload(folder / "source", "large", content_type="audio/wav")
after_upload = peak_rss()
store.download("large", folder / "target", max_bytes=1 << 30)
print(json.dumps({"before": before, "upload": after_upload, "download": peak_rss()}))
"""


def write_noise(path: Path) -> None:
    """Blocks that differ, so that a part in a wrong place shows."""
    noise = os.urandom(1_000_000)
    with path.open("wb") as file:
        for number in range(SIZE // len(noise)):
            file.write(number.to_bytes(8, "big"))
            file.write(noise[8:])


def test_two_hundred_megabytes_in_bounded_memory(s3_server: S3Server, tmp_path: Path) -> None:
    write_noise(tmp_path / "source")
    options = {
        "bucket": s3_server.make_bucket(),
        "endpoint_url": s3_server.endpoint_url,
        "region": s3_server.region,
        "access_key_id": s3_server.access_key,
        "secret_access_key": s3_server.secret_key,
    }
    done = subprocess.run(
        [sys.executable, "-c", TRANSFER, str(tmp_path)],
        input=json.dumps(options),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    peak = json.loads(done.stdout)
    print({name: f"{rss / 2**20:.1f} MiB" for name, rss in peak.items()})
    assert (
        subprocess.run(
            ["cmp", str(tmp_path / "source"), str(tmp_path / "target")], check=False
        ).returncode
        == 0
    )
    assert peak["download"] - peak["before"] < ALLOWED_GROWTH_BYTES
    head = s3_server.client().head_object(Bucket=options["bucket"], Key="large")
    assert head["ContentLength"] == SIZE
    assert head["ETag"].strip('"').endswith(f"-{-(-SIZE // (8 * 2**20))}"), "not in parts"
