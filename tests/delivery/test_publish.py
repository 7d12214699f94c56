"""Publishing: a whole ladder or none, whenever a reader looks and whatever breaks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from audio_processor.delivery.publish import CacheControl, publish
from audio_processor.delivery.replace import withdraw
from audio_processor.errors import LeaseLost, StoreUnavailable
from audio_processor.model import HlsRendition, Package, Receipt
from tests.delivery.memory_store import MemoryStore, Stored

PREFIX = "out/A song, 100% #1?/"
MASTER = PREFIX + "playlist.m3u8"


def lease_lost() -> None:
    raise LeaseLost("another worker has it")


def put(package: Package, store: MemoryStore, generation: str = "g1", **more: object) -> Receipt:
    arguments: dict[str, object] = {
        "output_prefix": PREFIX,
        "generation": generation,
        "cache_control": CacheControl(),
        "renew": lambda: None,
    }
    return publish(package, store, **{**arguments, **more})  # type: ignore[arg-type]  # by name


def names(store: MemoryStore) -> set[str]:
    return {key.removeprefix(PREFIX) for key in store.objects}


def fails_at(call: int) -> Callable[[], None]:
    """A renewal that finds the lease lost at the n-th call, counted from 0."""
    left = [call]

    def renew() -> None:
        left[0] -= 1
        if left[0] < 0:
            lease_lost()

    return renew


def whole(store: MemoryStore) -> bool:
    """Whether everything that the master playlist leads to is there."""
    try:
        return all(PREFIX + name in store.objects for name in reached(store))
    except KeyError:
        return False


def reached(store: MemoryStore) -> list[str]:
    """What the master leads to."""
    found: list[str] = []
    for variant in entries(store.objects[MASTER].data):
        folder = variant.rpartition("/")[0]
        found.append(variant)
        found += [f"{folder}/{name}" for name in entries(store.objects[PREFIX + variant].data)]
    return found


def entries(playlist: bytes) -> list[str]:
    return [line for line in playlist.decode().splitlines() if not line.startswith("#")]


def generation(store: MemoryStore, name: str) -> str:
    return re.split(r"[_.]", name.rpartition("/")[2])[1]


def shorter(package: Package) -> Package:
    """The same package without its middle tier and with a segment less on the others."""
    low, _, high = package.renditions

    def cut(rendition: HlsRendition) -> HlsRendition:
        return replace(rendition, segments=rendition.segments[:-1])

    return replace(package, renditions=(cut(low), cut(high)))


def test_order_is_own_objects_fixed_names_documents_master(packaged: Package) -> None:
    store = MemoryStore()
    receipt = put(packaged, store)
    puts = [key.removeprefix(PREFIX) for what, key in store.log if what == "put"]
    assert puts[0] == "leftovers.json"
    assert sorted(puts[1:13]) == sorted(
        f"{tier}/{name}"
        for tier in ("high", "low", "med")
        for name in ("playlist_g1.m3u8", *(f"segment_g1_00{n}.ts" for n in range(3)))
    )
    assert puts[13:] == [
        "low/playlist.m3u8",
        "med/playlist.m3u8",
        "high/playlist.m3u8",
        "A song, 100% #1?.m4a",
        "waveform.json",
        "metadata.json",
        "playlist.m3u8",
    ]
    assert receipt.objects == len(store.objects) == 19
    assert receipt.bytes == sum(len(stored.data) for stored in store.objects.values())
    assert receipt.summary == packaged.summary


def test_types_and_cache_rules_of_every_kind(packaged: Package) -> None:
    store = MemoryStore()
    put(packaged, store, cache_control=CacheControl("p", "s", "m", ""))
    said = {
        key.rpartition(".")[2]: (stored.content_type, stored.cache_control)
        for key, stored in store.objects.items()
    }
    assert store.objects[PREFIX + "low/playlist_g1.m3u8"].cache_control == "s", "it never changes"
    assert said == {
        "m3u8": ("application/vnd.apple.mpegurl", "p"),
        "ts": ("video/mp2t", "s"),
        "m4a": ("audio/mp4", "m"),
        "json": ("application/json", None),
    }


def test_metadata_is_the_packages_and_names_the_generation(packaged: Package) -> None:
    store = MemoryStore()
    put(packaged, store)
    published = json.loads(store.objects[PREFIX + "metadata.json"].data)
    renditions = published.pop("renditions")
    told = [{**each, "playlist": f"{each['name']}/playlist.m3u8"} for each in renditions]
    assert {**published, "renditions": told} == {**packaged.metadata, "generation": "g1"}
    named = [each["playlist"] for each in renditions]
    assert named == entries(store.objects[MASTER].data), "it can be looked up by the master's line"


def test_each_tiers_fixed_playlist_is_the_one_that_the_master_names(packaged: Package) -> None:
    store = MemoryStore()
    put(packaged, store)
    for tier in ("low", "med", "high"):
        folder = f"{PREFIX}{tier}/"
        assert store.objects[f"{folder}playlist.m3u8"].data == (
            store.objects[f"{folder}playlist_g1.m3u8"].data
        )


def test_a_lease_lost_before_the_first_write_changes_nothing(packaged: Package) -> None:
    store = MemoryStore({MASTER: Stored(b"#EXTM3U\n", "x", None)})
    with pytest.raises(LeaseLost):
        put(packaged, store, renew=lease_lost)
    assert store.log == []


def test_a_lease_lost_before_the_last_write_leaves_no_master(packaged: Package) -> None:
    store = MemoryStore()
    with pytest.raises(LeaseLost):
        put(packaged, store, renew=fails_at(1))
    assert MASTER not in store.objects
    assert len(store.objects) == 19


def test_a_cancelled_job_writes_nothing_more(packaged: Package) -> None:
    store = MemoryStore()
    with pytest.raises(LeaseLost):
        put(packaged, store, check=lease_lost)
    assert store.log == []


# ── two attempts at once ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("at", range(20))
def test_whatever_a_zombie_still_writes_the_ladder_is_one_attempts(
    packaged: Package, at: int
) -> None:
    """One attempt is stopped before its n-th write; another publishes; the first wakes up."""
    store = MemoryStore()
    left = [at]

    def sleep(_key: str) -> None:
        left[0] -= 1
        if left[0] == -1:
            store.before_each_put = lambda _key: None
            put(shorter(packaged), store, "new")

    def renew() -> None:
        if left[0] < 0:
            lease_lost()

    store.before_each_put = sleep
    with pytest.raises(LeaseLost):
        # the request under way when it was stopped goes out; whatever it asks then says no
        put(packaged, store, "old", renew=renew, check=lambda: None)
    assert whole(store)
    assert {generation(store, name) for name in reached(store)} == {"new"}
    assert json.loads(store.objects[PREFIX + "metadata.json"].data)["generation"] == "new"
    m4a = store.objects[PREFIX + "low/playlist.m3u8"].data
    assert b"_new_" in m4a


@pytest.mark.parametrize("writes", range(19))
def test_a_crash_anywhere_leaves_the_old_ladder_and_a_retry_replaces_it(
    packaged: Package, writes: int
) -> None:
    store = MemoryStore()
    put(packaged, store, "one")
    store.writes_left = writes
    with pytest.raises(StoreUnavailable):
        put(packaged, store, "two")
    assert whole(store)
    assert {generation(store, name) for name in reached(store)} == {"one"}
    store.writes_left = None
    put(packaged, store, "three")
    assert whole(store)
    assert not [name for name in names(store) if "two" in name]


def test_no_reader_ever_sees_half_a_ladder_or_none_once_there_was_one(packaged: Package) -> None:
    store = MemoryStore()
    put(packaged, store, "one")
    looked: list[bool] = []
    store.at_each_change = lambda: looked.append(
        whole(store) and len({generation(store, name) for name in reached(store)}) == 1
    )
    put(shorter(packaged), store, "two")
    put(packaged, store, "three")
    assert looked
    assert all(looked)


def test_a_ladder_that_was_replaced_stays_until_the_next_one(packaged: Package) -> None:
    """Players and caches that hold its master still find everything."""
    store = MemoryStore()
    put(packaged, store, "one")
    first = {name for name in names(store) if "one" in name}
    put(shorter(packaged), store, "two")
    assert first <= names(store)
    put(packaged, store, "three")
    assert not [name for name in names(store) if "one" in name]
    assert [name for name in names(store) if "two" in name]


def test_a_tier_that_is_no_more_loses_its_playlist(packaged: Package) -> None:
    store = MemoryStore()
    put(packaged, store, "one")
    put(shorter(packaged), store, "two")
    assert "med/playlist.m3u8" not in names(store)
    assert {"low/playlist.m3u8", "high/playlist.m3u8"} <= names(store)


def test_a_ladder_of_an_earlier_version_is_replaced_and_then_cleared_up(packaged: Package) -> None:
    older = {
        "playlist.m3u8": b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow/playlist.m3u8\n",
        "low/playlist.m3u8": b"#EXTM3U\n#EXTINF:10,\nsegment_000.ts\n",
        "low/segment_000.ts": b"old",
    }
    store = MemoryStore({PREFIX + name: Stored(data, "x", None) for name, data in older.items()})
    put(packaged, store, "one")
    assert "low/segment_000.ts" in names(store)
    put(packaged, store, "two")
    assert "low/segment_000.ts" not in names(store)
    assert whole(store)


def test_what_others_wrote_there_names_nothing_outside(packaged: Package) -> None:
    """What lies under the prefix is read as data: it cannot have other keys deleted."""
    fixed = ["low/playlist.m3u8", "metadata.json", "../../segment_1.ts", "low/../segment_1.ts", 3]
    theirs = {
        PREFIX + "leftovers.json": json.dumps({"leftovers": fixed}).encode(),
        PREFIX + "low/playlist.m3u8": b"#EXTM3U\n../../segment_1.ts\n%2e%2e%2fsegment_2.ts\nx.ts\n",
        MASTER: b"#EXTM3U\nlow/playlist.m3u8\n../x/playlist.m3u8\n\xff\xfe not text",
        "out/segment_1.ts": b"another's",
    }
    store = MemoryStore({key: Stored(data, "x", None) for key, data in theirs.items()})
    put(packaged, store)
    assert {key for what, key in store.log if what == "delete"} == {PREFIX + "leftovers.json"}


@pytest.mark.parametrize("told", [b"[]", b"not json", b'{"leftovers": 3}', b"[" * 100_000])
def test_leftovers_that_make_no_sense_are_none(packaged: Package, told: bytes) -> None:
    store = MemoryStore({PREFIX + "leftovers.json": Stored(told, "x", None)})
    put(packaged, store)
    assert whole(store)


def test_leftovers_that_cannot_be_cleared_up_do_not_undo_the_track(packaged: Package) -> None:
    store = MemoryStore()
    put(packaged, store, "one")
    store.writes_left = 1 + 12 + 6 + 1
    put(packaged, store, "two")
    assert {generation(store, name) for name in reached(store)} == {"two"}


def test_a_withdrawn_ladder_has_no_master_and_another_uploads_stays(packaged: Package) -> None:
    store = MemoryStore()
    put(packaged, store)
    upload_id = packaged.metadata["upload_id"]
    asked: list[bool] = []
    insist = partial(asked.append, True)
    assert not withdraw(store, PREFIX, "another", insist=insist)
    assert MASTER in store.objects
    assert not asked
    assert withdraw(store, PREFIX, upload_id, insist=insist)
    assert MASTER not in store.objects
    assert asked
    assert not withdraw(store, PREFIX, upload_id, insist=insist)


def test_who_has_lost_the_row_withdraws_nothing(packaged: Package) -> None:
    store = MemoryStore()
    put(packaged, store)
    with pytest.raises(LeaseLost):
        withdraw(store, PREFIX, packaged.metadata["upload_id"], insist=lease_lost)
    assert MASTER in store.objects


def test_a_ladder_published_while_the_last_one_was_withdrawn_stays(packaged: Package) -> None:
    """A worker is stopped right before it deletes, and wakes when the next attempt is done."""
    store = MemoryStore()
    put(packaged, store)
    late = iter([True])

    def meanwhile(_key: str) -> None:
        if next(late, False):  # publishing deletes as well
            put(packaged, store, "two")

    store.before_each_delete = meanwhile
    assert not withdraw(store, PREFIX, packaged.metadata["upload_id"], insist=lambda: None)
    assert {generation(store, name) for name in reached(store)} == {"two"}


@pytest.mark.parametrize("bad", ["", "UPPER", "a/b", "a" * 33])
def test_a_generation_that_cannot_be_part_of_a_name_is_refused(packaged: Package, bad: str) -> None:
    with pytest.raises(ValueError, match="part of a name"):
        put(packaged, MemoryStore(), bad)


def test_progress_rises_to_one(packaged: Package) -> None:
    told: list[float] = []
    put(packaged, MemoryStore(), advance=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
