"""From a wish to a treatment: what is listened to, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from audio_processor.dsp.measure import LevelMeter
from audio_processor.errors import MasteringRejected
from audio_processor.mastering.chain import Chain
from audio_processor.mastering.profile import Profile, ProfileMeter
from audio_processor.mastering.profile_file import fingerprint
from audio_processor.mastering.stages.input_level import InputLevel
from audio_processor.mastering.stages.reference_match import ReferenceMatch
from audio_processor.mastering.studio import Studio
from audio_processor.model import Block, Targets
from audio_processor.settings.mastering import MasteringSettings

RATE_HZ = 44_100


def noise(seed: int, level: float, tilt: float) -> Block:
    """Six seconds whose power falls by ``tilt`` × 3 dB an octave."""
    rng = np.random.default_rng(seed)
    hz = np.fft.rfftfreq(6 * RATE_HZ, 1 / RATE_HZ)
    spectrum = np.maximum(hz, 20.0) ** (-tilt / 2) * np.exp(2j * np.pi * rng.random((2, hz.size)))
    audio = np.fft.irfft(spectrum, axis=1).T
    return np.asarray(level * audio / np.sqrt(np.mean(audio**2)), np.float32)


@dataclass
class Ears:
    """A track that counts how often it was listened to, and through what."""

    audio: Block
    chains: list[Chain] = field(default_factory=list)
    levels: int = 0

    def level(self) -> float | None:
        self.levels += 1
        meter = LevelMeter(RATE_HZ, 2)
        meter.push(self.audio)
        return meter.result().integrated_lufs

    def profile(self, chain: Chain) -> Profile:
        self.chains.append(chain)
        meter = ProfileMeter(RATE_HZ)
        for block in chain(self._blocks(), RATE_HZ):
            meter.push(block)
        return meter.result()

    def _blocks(self) -> Iterator[Block]:
        yield from (self.audio[at : at + 8192] for at in range(0, len(self.audio), 8192))


def profile(audio: Block) -> Profile:
    return Ears(audio).profile(Chain())


def studio(**settings: object) -> Studio:
    defaults = MasteringSettings.model_validate(settings)
    return Studio(Targets(), defaults, profiles={"house": profile(noise(2, 0.1, 0.5))})


def names(chain: Chain) -> list[str]:
    return [stage.name for stage in chain.stages]


def test_the_default_listens_to_nothing() -> None:
    ears = Ears(noise(1, 0.1, 1.0))
    treatment = studio().treatment(None, ears)
    assert (treatment.mastering.preset, names(treatment.chain)) == ("transparent", ["high_pass"])
    assert (ears.levels, ears.chains) == (0, [])


def test_off_has_no_stage() -> None:
    treatment = studio().treatment("off", Ears(noise(1, 0.1, 1.0)))
    assert names(treatment.chain) == []


@pytest.mark.parametrize(("level", "expected_db"), [(0.5, None), (0.02, None), (2e-3, 24.0)])
def test_stages_in_dbfs_are_given_their_level(level: float, expected_db: float | None) -> None:
    ears = Ears(noise(1, level, 1.0))
    treatment = studio().treatment("radio-loud", ears)
    first = treatment.chain.stages[0]
    assert isinstance(first, InputLevel)
    assert (ears.levels, ears.chains) == (1, [])
    measured = profile(ears.audio).loudness.integrated_lufs
    assert measured is not None
    assert first.gain_db == pytest.approx(expected_db or -14.0 - measured)


def test_a_preset_does_the_same_to_a_quiet_upload_as_to_a_loud_one() -> None:
    loud = noise(1, 0.3, 1.0)
    treated = [
        studio().treatment("vintage-warmth", Ears(audio)).chain
        for audio in (loud, loud * np.float32(0.25))
    ]
    one, other = (
        np.concatenate(list(chain(iter([audio]), RATE_HZ)))
        for chain, audio in zip(treated, (loud, loud * np.float32(0.25)), strict=True)
    )
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_silence_is_treated_without_a_level() -> None:
    treatment = studio().treatment("radio-loud", Ears(np.zeros((RATE_HZ, 2), np.float32)))
    assert treatment.chain.stages[0] == InputLevel(0.0)


def test_a_match_listens_to_what_the_other_stages_make() -> None:
    ears = Ears(noise(1, 0.1, 1.6))
    treatment = studio().treatment('{"preset": "bright", "reference": "house"}', ears)
    assert names(treatment.chain)[-1] == "reference_match"
    (heard,) = ears.chains
    assert heard.stages == treatment.chain.stages[:-1]
    assert treatment.mastering.reference == "house"
    match = treatment.chain.stages[-1]
    assert isinstance(match, ReferenceMatch) and not match.curve.is_flat


def test_what_a_match_did_is_told() -> None:
    house = studio()
    treatment = house.treatment('{"reference": "house"}', Ears(noise(1, 0.1, 1.6)))
    stage, told = treatment.chain.stages[-1], treatment.mastering.match
    assert isinstance(stage, ReferenceMatch) and told is not None
    assert told.profile_sha256 == fingerprint(house.profiles["house"])
    assert told.mid_db == (stage.curve.mid_db.min(), stage.curve.mid_db.max())
    assert told.side_db == (stage.curve.side_db.min(), stage.curve.side_db.max())
    assert house.treatment(None, Ears(noise(1, 0.1, 1.6))).mastering.match is None


def test_a_silent_track_is_matched_to_nothing_and_told_so() -> None:
    ears = Ears(np.zeros((RATE_HZ, 2), np.float32))
    treatment = studio(reference="house", profiles={"house": "x"}).treatment(None, ears)
    assert any("nothing to match" in warning for warning in treatment.warnings)


def test_auto_listens_once_and_says_why() -> None:
    ears = Ears(noise(1, 0.1, 2.5))
    treatment = studio(preset="auto").treatment(None, ears)
    assert treatment.mastering.preset == "bright"
    assert treatment.mastering.reason and "dull" in treatment.mastering.reason
    assert len(ears.chains) == 1


def test_an_upload_has_a_target_of_its_own() -> None:
    treatment = studio().treatment('{"targetLoudness": -16}', Ears(noise(1, 0.1, 1.0)))
    assert treatment.targets == Targets(integrated_lufs=-16.0)


def test_a_wish_that_cannot_be_is_refused_by_its_key() -> None:
    with pytest.raises(MasteringRejected, match=r"targetLoudness is -3;.*-20 to -10"):
        studio().treatment('{"targetLoudness": -3}', Ears(noise(1, 0.1, 1.0)))


def test_a_compressor_that_does_nothing_needs_no_level() -> None:
    ears = Ears(noise(1, 0.1, 1.0))
    treatment = studio().treatment('{"compressionRatio": 1}', ears)
    assert (ears.levels, ears.chains) == (0, [])
    assert "input_level" not in names(treatment.chain)
