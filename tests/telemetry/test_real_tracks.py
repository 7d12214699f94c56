"""Real tracks on real services: what the metrics and the log say is what happened."""

from __future__ import annotations

from typing import Any

import pytest

from audio_processor.telemetry.metrics import STAGES
from tests.telemetry.conftest import Told

ROUNDING = 0.001
"""``metadata.json`` rounds to thousandths, the histograms do not."""


def delivered(told: Told) -> dict[str, list[dict[str, Any]]]:
    """The measured loudness of everything delivered, by rendition."""
    found: dict[str, list[dict[str, Any]]] = {}
    for document in told.documents.values():
        for rendition in document["renditions"]:
            found.setdefault(rendition["name"], []).append(rendition["loudness"])
        found.setdefault("m4a", []).append(document["m4a"]["loudness"])
    return found


@pytest.mark.parametrize(
    ("metric", "key"),
    [
        ("delivered_loudness_lufs", "integrated_lufs"),
        ("delivered_true_peak_dbtp", "true_peak_dbtp"),
    ],
)
def test_the_histograms_hold_what_the_documents_say_was_delivered(
    told: Told, metric: str, key: str
) -> None:
    for name, measured in delivered(told).items():
        values = [each[key] for each in measured]
        buckets = told.after.buckets(metric, rendition=name)
        assert buckets[float("inf")] == len(values) == 4
        for bound, count in buckets.items():
            least = sum(value <= bound - ROUNDING for value in values)
            most = sum(value <= bound + ROUNDING for value in values)
            assert least <= count <= most, (name, bound, values)


def test_candidates_durations_and_ends_are_those_of_the_documents(told: Told) -> None:
    after, documents = told.after, told.documents.values()
    for tier in ("low", "med", "high"):
        tried = sum(
            len(rendition["candidates"])
            for document in documents
            for rendition in document["renditions"]
            if rendition["name"] == tier
        )
        assert after("candidates_tried_sum", tier=tier) == tried
        assert after("candidates_tried_count", tier=tier) == 4
    taken_in_s = sum(document["source"]["duration_s"] for document in documents)
    assert after("audio_seconds_total") == pytest.approx(taken_in_s, abs=0.01)
    assert after("tracks_total", outcome="completed", error_code="") == 4
    assert after("tracks_total", outcome="failed", error_code="unsupported_media") == 1
    assert sum(after.of("tracks_total").values()) == after("claims_total") == 5
    assert after("attempts_sum", outcome="completed") == 4
    assert after("attempts_count", outcome="failed") == 1
    assert after("realtime_factor_count") == 4
    assert after("track_seconds_count", outcome="completed") == 4


def test_stages_are_counted_as_far_as_a_track_came(told: Told) -> None:
    counts = {key[0]: value for key, value in told.after.of("stage_seconds_count").items()}
    assert counts == {stage: 5 if stage in {"fetch", "probe"} else 4 for stage in STAGES}


def test_the_cpu_of_all_stages_is_the_cpu_of_process_and_children(told: Told) -> None:
    """To within a fifth: claims, heartbeats, scrapes and this test itself are nobody's stage."""
    before, after = (each.of("stage_cpu_seconds_total") for each in (told.before, told.after))
    stages = sum(after.values()) - sum(before.values())
    assert 0.8 * told.cpu_s <= stages <= 1.01 * told.cpu_s


def test_cpu_lands_with_the_job_that_spent_it(told: Told) -> None:
    """Of three that ran side by side, the one of four times the length took most of it."""
    rendered = {
        line["track_id"]: line["cpu_seconds"]
        for line in told.log
        if line["event"] == "stage ended" and line["stage"] == "render"
    }
    assert rendered["b"] > 2 * rendered["a"]
    assert rendered["b"] > 2 * rendered["c"]
    metered = told.after("stage_cpu_seconds_total", stage="render") - told.before(
        "stage_cpu_seconds_total", stage="render"
    )
    assert sum(rendered.values()) == pytest.approx(metered, abs=0.01)


def test_the_worker_shows_itself_and_its_queue(told: Told) -> None:
    after = told.after
    assert after("job_slots") == 4
    assert after("ready") == 1
    assert set(after.of("hindrance").values()) == {0.0}
    assert after("scratch_free_bytes") > 0
    assert 0 <= after("scratch_bytes") < 2**20  # jobs have taken theirs away
    assert after("queue_observed_timestamp_seconds") > 1.7e9
    assert after("claim_loop_turned_timestamp_seconds") > 1.7e9
    (build,) = after.of("build_info")
    assert {"aac", "0.1.0"} <= set(build)


def test_the_queue_s_statements_and_the_store_s_requests_are_timed(told: Told) -> None:
    after = told.after
    statements = {
        key[0]: count for key, count in after.of("database_statement_seconds_count").items()
    }
    assert statements["complete"] == 4
    assert statements["fail"] == 1
    assert statements["reserve_output"] == 5
    assert statements["claim"] >= 5
    assert statements["depth"] >= 2
    requests = {key[0]: count for key, count in after.of("storage_request_seconds_count").items()}
    objects = sum(
        sum(rendition["segments"] + 1 for rendition in document["renditions"]) + 4
        for document in told.documents.values()
    )
    assert requests["put"] >= objects  # segments, playlists, m4a, waveform, metadata, master
    assert requests["copy"] == 1  # the broken one's raw object, moved aside
    assert requests["get"] > 5
    assert not after.of("storage_errors_total")
    assert not after.of("database_errors_total")


def test_the_log_tells_each_job_s_story_with_its_ids(told: Told) -> None:
    for name in ("a", "b", "c"):
        lines = [line for line in told.log if line.get("track_id") == name]
        ids = {(line["upload_id"], line["attempt"]) for line in lines}
        assert len(ids) == 1
        assert [line["event"] for line in lines] == [
            "track begun", *["stage ended"] * len(STAGES), "track ended",
        ]  # fmt: skip
        assert [line["stage"] for line in lines[1:-1]] == list(STAGES)
        assert all(line["seconds"] >= 0 for line in lines[1:])
        assert lines[-1]["outcome"] == "completed"
        assert "ffmpeg" not in lines[-1]


def test_ffmpeg_s_own_words_are_in_the_log_of_a_failure_only_and_are_harmless(told: Told) -> None:
    (end,) = [
        line for line in told.log if line["event"] == "track ended" and line["track_id"] == "broken"
    ]
    assert end["outcome"] == "failed"
    assert end["error_code"] == "unsupported_media"
    assert end["ffmpeg"]
    for words in end["ffmpeg"]:
        assert words["doing"]
        assert words["stderr"]
        assert len(words["stderr"]) <= 2000
    assert sum("ffmpeg" in line for line in told.log) == 1


def test_there_is_no_other_noise(told: Told) -> None:
    events = {line["event"] for line in told.log}
    assert events == {"track begun", "stage ended", "track ended"}
