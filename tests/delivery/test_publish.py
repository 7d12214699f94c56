"""Publishing: a whole ladder or none, whenever a reader looks and whatever breaks."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from audio_processor.delivery.publish import CacheControl, publish
from audio_processor.errors import LeaseLost, StoreUnavailable
from audio_processor.model import HlsRendition, Package, Receipt
from tests.delivery.memory_store import MemoryStore, Stored

PREFIX = "out/A song, 100% #1?/"
MASTER = PREFIX + "playlist.m3u8"


def lease_lost() -> None:
    raise LeaseLost("another worker has it")


def put(package: Package, store: MemoryStore, **changes: object) -> Receipt:
    arguments = {
        "output_prefix": PREFIX,
        "cache_control": CacheControl(),
        "before_first_write": lambda: None,
        "before_last_write": lambda: None,
    }
    return publish(package, store, **{**arguments, **changes})  # type: ignore[arg-type]  # by name


def whole(store: MemoryStore) -> bool:
    """Whether everything that the master playlist leads to is there."""
    master = store.objects[MASTER].data.decode()
    for variant in (line for line in master.splitlines() if not line.startswith("#")):
        playlist = store.objects.get(PREFIX + variant)
        if playlist is None:
            return False
        folder = PREFIX + variant.rpartition("/")[0]
        names = [line for line in playlist.data.decode().splitlines() if not line.startswith("#")]
        if not all(f"{folder}/{name}" in store.objects for name in names):
            return False
    return True


def shorter(package: Package) -> Package:
    """The same package without its middle tier and with a segment less on the others."""
    low, _, high = package.renditions

    def cut(rendition: HlsRendition) -> HlsRendition:
        lines = rendition.playlist.splitlines()
        kept = [*lines[:-3], lines[-1]]
        return replace(rendition, segments=rendition.segments[:-1], playlist="\n".join(kept) + "\n")

    master = "\n".join(
        line for line in package.master_playlist.splitlines() if not line.startswith("med/")
    )
    return replace(package, renditions=(cut(low), cut(high)), master_playlist=master + "\n")


def test_order_is_segments_playlists_m4a_documents_master(packaged: Package) -> None:
    store = MemoryStore()
    receipt = put(packaged, store)
    puts = [key.removeprefix(PREFIX) for what, key in store.log if what == "put"]
    assert sorted(puts[:9]) == [
        f"{tier}/segment_00{n}.ts" for tier in ("high", "low", "med") for n in range(3)
    ]
    assert puts[9:] == [
        "low/playlist.m3u8",
        "med/playlist.m3u8",
        "high/playlist.m3u8",
        "A song, 100% #1?.m4a",
        "waveform.json",
        "metadata.json",
        "playlist.m3u8",
    ]
    assert receipt.objects == len(store.objects) == 16
    assert receipt.bytes == sum(len(stored.data) for stored in store.objects.values())
    assert receipt.summary == packaged.summary


def test_types_and_cache_rules_of_every_kind(packaged: Package) -> None:
    store = MemoryStore()
    put(packaged, store, cache_control=CacheControl("p", "s", "m", ""))
    said = {
        key.rpartition(".")[2]: (stored.content_type, stored.cache_control)
        for key, stored in store.objects.items()
    }
    assert said == {
        "m3u8": ("application/vnd.apple.mpegurl", "p"),
        "ts": ("video/mp2t", "s"),
        "m4a": ("audio/mp4", "m"),
        "json": ("application/json", None),
    }


def test_metadata_is_published_as_it_is_in_the_package(packaged: Package) -> None:
    store = MemoryStore()
    put(packaged, store)
    assert json.loads(store.objects[PREFIX + "metadata.json"].data) == packaged.metadata


def test_a_lease_lost_before_the_first_write_changes_nothing(packaged: Package) -> None:
    store = MemoryStore({MASTER: Stored(b"#EXTM3U\n", "x", None)})
    with pytest.raises(LeaseLost):
        put(packaged, store, before_first_write=lease_lost)
    assert store.log == []


def test_a_lease_lost_before_the_last_write_leaves_no_master(packaged: Package) -> None:
    store = MemoryStore()
    with pytest.raises(LeaseLost):
        put(packaged, store, before_last_write=lease_lost)
    assert MASTER not in store.objects
    assert len(store.objects) == 15


def test_a_cancelled_job_writes_no_further_object(packaged: Package) -> None:
    store = MemoryStore()
    with pytest.raises(LeaseLost):
        put(packaged, store, check=lease_lost)
    assert [what for what, _ in store.log] == ["delete"]


@pytest.mark.parametrize("writes", range(10))
def test_a_crash_anywhere_shows_no_half_ladder_and_a_retry_completes_it(
    packaged: Package, writes: int
) -> None:
    store = MemoryStore()
    put(packaged, store)
    store.writes_left = writes
    with pytest.raises(StoreUnavailable):
        put(shorter(packaged), store)
    assert MASTER not in store.objects
    store.writes_left = None
    put(shorter(packaged), store)
    assert whole(store)


def test_no_reader_ever_sees_half_a_ladder(packaged: Package) -> None:
    store = MemoryStore()
    looked: list[bool] = []
    store.at_each_change = lambda: looked.append(MASTER not in store.objects or whole(store))
    put(packaged, store)
    put(shorter(packaged), store)
    put(packaged, store)
    assert looked
    assert all(looked)


def test_what_a_longer_attempt_left_is_deleted(packaged: Package) -> None:
    store = MemoryStore()
    put(packaged, store)
    put(shorter(packaged), store)
    assert sorted(key.removeprefix(PREFIX) for key in store.objects) == [
        "A song, 100% #1?.m4a",
        *(f"high/{name}" for name in ("playlist.m3u8", "segment_000.ts", "segment_001.ts")),
        *(f"low/{name}" for name in ("playlist.m3u8", "segment_000.ts", "segment_001.ts")),
        "metadata.json",
        "playlist.m3u8",
        "waveform.json",
    ]


def test_old_playlists_of_others_lead_nowhere_else(packaged: Package) -> None:
    """What lies under the prefix is read as data: it cannot have other keys deleted."""
    theirs = {
        PREFIX + "metadata.json": b'{"renditions": [{"name": ".."}, {"name": "a/b"}, 3]}',
        PREFIX + "low/playlist.m3u8": b"#EXTM3U\n../../segment_1.ts\n%2e%2e%2fsegment_2.ts\nx.ts\n",
        MASTER: b"\xff\xfe not text",
        "out/segment_1.ts": b"another's",
    }
    store = MemoryStore({key: Stored(data, "x", None) for key, data in theirs.items()})
    put(packaged, store)
    assert {key for what, key in store.log if what == "delete"} == {MASTER}


def test_progress_rises_to_one(packaged: Package) -> None:
    told: list[float] = []
    put(packaged, MemoryStore(), advance=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
