"""The bench at its smallest: so that it cannot rot, not for its figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from audio_processor import capacity_figures
from audio_processor.capacity_figures import Figure
from bench import throughput, throughput_daemon
from bench.back_ends import embedded
from bench.process_tree import bytes_below, machine, usage
from bench.throughput_plot import Bar, plot
from bench.throughput_run import Run, figures
from tests.corpus import corpus_track_or_skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    track = corpus_track_or_skip("sad.ogg")
    ended: list[int] = []
    run = throughput_daemon.measure(
        embedded(tmp_path_factory.mktemp("throughput")), [track], 2, ended=ended.append
    )
    assert ended == sorted(ended)
    return run


def test_a_daemon_is_measured(run: Run) -> None:
    assert (run.tracks, run.concurrency) == (1, 2)
    assert 44 < run.audio_s < 45
    batch = run.batch
    assert 0 < batch.python_cpu_s < batch.cpu_s, "FFmpeg's processes are counted too"
    assert batch.cpu_s <= 1.1 * batch.wall_s * batch.cores, "no more than the machine has"
    assert 0 < batch.utilisation <= 1.1
    assert batch.utilisation_at_most <= 1.0
    assert run.processes >= 3, "the daemon and its encoders"
    assert run.tree_rss_mib >= run.tree_pss_mib > 50
    assert run.scratch_bytes > 100_000
    assert run.delivered_bytes > 44 * 40_000


def test_what_is_saved_can_be_read(run: Run, tmp_path: Path) -> None:
    document = throughput.save([run], "embedded", 2, out=tmp_path)
    assert json.loads((tmp_path / "throughput.json").read_text()) == json.loads(
        json.dumps(document)
    )
    assert document["runs"][0]["utilisation"] == run.busy.utilisation
    ET.fromstring((tmp_path / "throughput.svg").read_text())


def test_the_plot_shows_every_concurrency() -> None:
    bars = [Bar(str(n), 10.0 * n, 9.0, 0.3 * n, 0.1) for n in (1, 2, 3)]
    texts = [element.text for element in ET.fromstring(plot(bars)).iter() if element.text]
    assert {"1", "2", "3", "30%", "90%", "20.0"} <= set(texts)


@pytest.mark.parametrize(
    ("used", "others", "verdict"),
    [
        (0.95, 0.0, True),
        (0.91, 0.09, True),
        (0.85, 0.0, False),
        (0.5, 0.3, False),
        (0.5, 0.5, None),
    ],
)
def test_what_others_took_is_no_verdict(
    run: Run, used: float, others: float, verdict: bool | None
) -> None:
    room_s = run.busy.wall_s * run.busy.cores
    busy = replace(run.busy, cpu_s=used * room_s, others_cpu_s=others * room_s, steal_s=0.0)
    enough = replace(run, busy=busy, tracks=2 * run.concurrency)
    ((told, _),) = throughput.verdicts([enough], run.concurrency)
    assert told is verdict
    ((told, _),) = throughput.verdicts([replace(enough, tracks=1)], run.concurrency)
    assert told is None, "one track says nothing of two slots"


def test_the_figures_of_the_capacity_model_follow(run: Run) -> None:
    runs = [
        replace(run, concurrency=slots, pinned=pinned, tree_pss_mib=100.0 + 40 * slots)
        for slots, pinned in ((1, True), (2, True), (2, False))
    ]
    on_services = figures([replace(one, delivered_bytes=0) for one in runs])
    assert on_services["MEMORY_BASE_MIB"] == pytest.approx(100)
    assert on_services["MEMORY_SLOT_MIB"] == pytest.approx(40)
    found = figures(runs)
    assert found["AUDIO_S_PER_CPU_S"] == run.audio_per_cpu_s
    fixed = capacity_figures.DELIVERED_BYTES_FIXED.value
    assert found["DELIVERED_BYTES_PER_S"] * run.audio_s + fixed == pytest.approx(
        run.delivered_bytes
    )
    for name in {**found, **on_services}:
        assert isinstance(getattr(capacity_figures, name), Figure)
    assert "AUDIO_S_PER_CPU_S" not in figures(runs[:2]), "a pod's is not known"


def test_a_folder_that_comes_and_goes_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(bytes(1000))
    done = threading.Event()

    def churn() -> None:
        while not done.is_set():
            for name in map(str, range(50)):
                (tmp_path / name).mkdir()
            for name in map(str, range(50)):
                (tmp_path / name).rmdir()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        assert {bytes_below(tmp_path) for _ in range(200)} == {1000}
    finally:
        done.set()
        thread.join()


def test_children_are_counted_while_they_run_and_after() -> None:
    burn = "import time\nuntil = time.process_time() + 0.3\nwhile time.process_time() < until: pass"
    parent = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}])\n"
        "print('done', flush=True)\nsys.stdin.read()"
    )
    before = machine()
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        seen = usage(process.pid)
        process.stdin.close()
    assert seen.cpu_s >= 0.25
    assert seen.own_cpu_s < seen.cpu_s
    assert (machine() - before).busy_s >= 0.2
    assert usage(2**22 + os.getpid()).cpu_s == 0, "a process that is not there"
