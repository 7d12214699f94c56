"""A whole match of one file to another, in a process of its own: from files to a WAV.

``python -m bench.reference_job TARGET REFERENCE OUT.wav`` prints one line of JSON, a ``Match``.
The steps are the product's: profiles of both, the curve, the analysis through it, a plan that
keeps the target's own loudness, the render, 24 bits with dither.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from audio_processor.dsp.dither import Dither
from audio_processor.mastering.analyse import analyse
from audio_processor.mastering.chain import Chain
from audio_processor.mastering.match import distance_db, matched
from audio_processor.mastering.plan import make_plan
from audio_processor.mastering.profile import Profile, ProfileMeter
from audio_processor.mastering.render import levelled, limited
from audio_processor.mastering.stages.reference_match import ReferenceMatch
from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.decode import decode
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor
from audio_processor.media.lossless import PcmForm, write_pcm
from audio_processor.media.probe import probe
from audio_processor.model import Probe, Targets

CEILING_DBTP = -1.0


@dataclass(frozen=True, slots=True)
class Match:
    """What the match was to be, by our own meters."""

    before_db: float
    predicted_db: float
    """The distance that the curve leaves, as designed: guard rails and smoothing included."""
    loudness_moved_lu: float
    """By the filter alone: its output against its input, before any gain."""
    largest_boost_db: float
    largest_cut_db: float


def run(target: Path, reference: Path, out: Path) -> Match:
    """Match and write."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        supervisor = Supervisor(find_ffmpeg(), Path(folder), ProcessLimits())
        goal = _survey(supervisor, reference, probe(supervisor, reference, reference.name))
        probed = probe(supervisor, target, target.name)
        rate_hz = probed.sample_rate_hz
        source = _survey(supervisor, target, probed)
        stage = ReferenceMatch().toward(source, goal)
        with decode(supervisor, target, probed, file_name=target.name) as decoder:
            analysis = analyse(decoder, rate_hz, Chain((stage,)))
        before, after = analysis.source.integrated_lufs, analysis.mastered.integrated_lufs
        assert before is not None and after is not None
        targets = Targets(before, CEILING_DBTP, range_mode="preserve")
        plan = make_plan(analysis, targets)
        with decode(supervisor, target, probed, file_name=target.name) as decoder:
            has_spikes = analysis.facts.decoder_spikes > 0
            blocks = levelled(decoder, rate_hz, Chain((stage,)), plan, has_spikes=has_spikes)
            blocks = limited(blocks, rate_hz, plan, out_rate_hz=rate_hz)
            form = PcmForm("wav", 24, rate_hz)
            write_pcm(supervisor, Dither(24)(blocks, rate_hz), out, form, tags={})
    gains = np.concatenate((stage.curve.mid_db, stage.curve.side_db))
    return Match(
        before_db=distance_db(source, goal) or 0.0,
        predicted_db=distance_db(matched(source, stage.curve), goal) or 0.0,
        loudness_moved_lu=after - before,
        largest_boost_db=float(gains.max()),
        largest_cut_db=float(-gains.min()),
    )


def _survey(supervisor: Supervisor, file: Path, probed: Probe) -> Profile:
    meter = ProfileMeter(probed.sample_rate_hz)
    with decode(supervisor, file, probed, file_name=file.name) as decoder:
        for block in decoder:
            meter.push(block)
    return meter.result()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the match of one pair."""
    parser = argparse.ArgumentParser(prog="bench.reference_job", description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args(arguments)
    print(json.dumps(asdict(run(given.target, given.reference, given.out))))


if __name__ == "__main__":
    main()
