"""What is no audio, under the name of a song."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from tests.hostile.inputs import CORRUPT, UNSUPPORTED, HostileInput, Reject, Workshop, made


def _zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("../../song.wav"), bytes(5000))
    return packed.getvalue()


def _tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("/etc/passwd")
        member.size = 5000
        archive.addfile(member, io.BytesIO(bytes(5000)))
    return packed.getvalue()


def _drawn(suffix: str, arguments: str, workshop: Workshop) -> bytes:
    target = workshop.folder / f"picture.{suffix}"
    workshop.run(
        *("-f", "lavfi", "-i", "testsrc=size=64x64:rate=5", "-t", "1"),
        *arguments.split(),
        target,
    )
    return target.read_bytes()


def _program(_: Workshop) -> bytes:
    with Path(sys.executable).resolve().open("rb") as file:
        return file.read(100_000)


LETTER = b"Dear editor,\nthis is a letter and no music.\n" * 200

CONTENT: dict[str, bytes] = {
    "a byte": b"x",
    "text": LETTER,
    "text in UTF-16": LETTER.decode().encode("utf-16"),
    "html": b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>" * 30,
    "json": json.dumps({"audio": "https://example.org/a.mp3", "n": list(range(500))}).encode(),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>" * 9,
    "xml with an entity": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM "
    b"'file:///etc/passwd'>]><x>&e;</x>" * 20,
    "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n" + bytes(3000) + b"%%EOF",
    "zip": _zip(),
    "tar": _tar(),
    "gz": gzip.compress(LETTER, mtime=0),
    "bare deflate": zlib.compress(LETTER),
    "7z": b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(4000),
    "rar": b"Rar!\x1a\x07\x01\x00" + bytes(4000),
    "bz2": b"BZh91AY&SY" + bytes(4000),
    "xz": b"\xfd7zXZ\x00" + bytes(4000),
    "shell script": b'#!/bin/sh\nrm -rf "$HOME"\n' * 50,
    "python": b"import os\nos.system('id')\n" * 50,
    "windows program": b"MZ" + bytes(58) + b"\x80\0\0\0" + bytes(64) + b"PE\0\0" + bytes(4000),
    "java class": b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(4000),
    "sqlite": b"SQLite format 3\0" + bytes(4080),
    "midi": b"MThd\0\0\0\x06\0\1\0\1\1\xe0MTrk\0\0\0\x04\0\xff\x2f\0" + bytes(1000),
    "amr without a container": b"#!AMR\n" + bytes([0x3C]) * 3200,
    "dsd": b"DSD " + bytes(24) + b"fmt " + bytes(4000),
    "real media": b".RMF\0\0\0\x12" + bytes(4000),
    "subtitles": b"1\n00:00:01,000 --> 00:00:02,000\nLa la la\n\n" * 100,
    "lyrics": b"[00:01.00]La la la\n" * 200,
    "ffmetadata": b";FFMETADATA1\ntitle=x\nartist=y\n" * 50,
    "zeros": bytes(100_000),
    "ones": b"\xff" * 100_000,
    "line feeds": b"\n" * 100_000,
    "noise": np.random.default_rng(9).bytes(100_000),
    "noise in 7 bits": bytes(np.random.default_rng(10).integers(0, 128, 100_000, np.uint8)),
    "raw pcm": (np.sin(np.arange(44_100) / 20) * 9000).astype("<i2").tobytes(),
}
"""What it is, and its bytes."""


def inputs() -> Iterator[HostileInput]:
    """Each of them as a song."""
    yield made("foreign", "nothing at all", Reject(CORRUPT, "is empty"), b"")
    for title, content in CONTENT.items():
        yield made("foreign", title, Reject(UNSUPPORTED), content)
    yield made("foreign", "elf program", Reject(UNSUPPORTED), _program)
    for suffix in ("png", "jpg", "gif", "bmp", "tiff", "webp"):
        yield made(
            "foreign",
            f"{suffix} picture",
            Reject(UNSUPPORTED),
            partial(_drawn, suffix, "" if suffix == "gif" else "-frames:v 1"),
        )
    yield made(
        "foreign",
        "video without sound",
        Reject(UNSUPPORTED, "no audio"),
        partial(_drawn, "mp4", "-c:v mpeg4"),
        "mp4",
    )
    yield made(
        "foreign",
        "codec that is not accepted",
        Reject(UNSUPPORTED, "format"),
        lambda w: w.encoded("wav", "-c:a g726 -b:a 32k", rate_hz=8_000, channels=1),
        "wav",
    )
