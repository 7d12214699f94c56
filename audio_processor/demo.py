"""A short piece of music, rendered from nothing: what ``make run`` ingests without a track.

Drums, bass, a pad of detuned voices, a lead and a room, arranged as intro, verse, chorus and
a last chord that rings out, so that every part of the line has something real to do: a
loudness range of several LU, transients, a wide stereo image, a tail. numpy only, about one
CPU second, and the same bytes for the same arguments on the same machine.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]
"""Mono of shape ``(frames,)``, or stereo of shape ``(2, frames)``."""

BEATS_PER_MINUTE = 104.0
BEATS_PER_BAR = 4
PEAK_DBFS = -3.0
MIN_DURATION_S, MAX_DURATION_S = 12.0, 600.0
TAIL_S = 2.3
"""Room for the last chord to ring in, after the last bar."""
TABLE_SIZE = 16384

# Fmaj7, G6, Em7, Am7 as MIDI notes; the roots an octave or two below; a melody over each bar
# as (eighth, MIDI note, length in eighths).
CHORDS = ((53, 57, 60, 64), (55, 59, 62, 64), (52, 55, 59, 62), (52, 57, 60, 67))
ROOTS = (41, 43, 40, 33)
MELODY = (
    ((0, 72, 3), (3, 76, 1), (4, 77, 2), (6, 76, 2)),
    ((0, 74, 3), (3, 71, 1), (4, 74, 4)),
    ((0, 71, 2), (2, 74, 2), (4, 79, 3), (7, 76, 1)),
    ((0, 76, 4), (4, 72, 2), (6, 74, 2)),
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the arrangement: until which fraction of the bars, and who plays how."""

    until: float
    level_db: float
    tilt: float
    """Fall of the pad's harmonics, amplitude ∝ 1/kᵗⁱˡᵗ: the higher the darker."""
    kick: tuple[int, ...] = ()
    """Eighths of the bar on which the kick falls; the bass plays with it."""
    snare: tuple[int, ...] = ()
    hats_per_bar: int = 0
    lead_db: float | None = None


SECTIONS = (
    Section(until=0.25, level_db=-4.0, tilt=2.2),
    Section(until=0.56, level_db=-4.0, tilt=1.8, kick=(0, 5), snare=(4,), hats_per_bar=8),
    Section(
        until=0.92,
        level_db=0.0,
        tilt=1.35,
        kick=(0, 3, 4),
        snare=(2, 6),
        hats_per_bar=16,
        lead_db=0.0,
    ),
    Section(until=1.0, level_db=-3.0, tilt=1.9, kick=(0,), lead_db=None),
)


def render_demo(
    target: Path, *, duration_s: float = 30.0, sample_rate_hz: int = 44100, seed: int = 20
) -> Path:
    """Write the piece to ``target`` as a 24-bit stereo wav and return ``target``.

    Raises ``ValueError`` for a duration outside 12…600 s or a rate outside 8…192 kHz, and
    ``OSError`` as the file system does.
    """
    if not MIN_DURATION_S <= duration_s <= MAX_DURATION_S:
        raise ValueError(f"duration_s must lie in {MIN_DURATION_S:g}…{MAX_DURATION_S:g}")
    if not 8000 <= sample_rate_hz <= 192000:
        raise ValueError("sample_rate_hz must lie in 8000…192000")
    music = Band(duration_s, sample_rate_hz, seed).play()
    _write_wav(target, music, sample_rate_hz)
    return target


class Band:
    """Everyone who plays, and the desk they play into: a dry bus and a send to the room."""

    def __init__(self, duration_s: float, sample_rate_hz: int, seed: int) -> None:
        self.rate = sample_rate_hz
        self.frames = round(duration_s * sample_rate_hz)
        self.rng = np.random.default_rng(seed)
        self.beat_s = 60.0 / BEATS_PER_MINUTE
        self.bars = int((duration_s - TAIL_S) / (self.beat_s * BEATS_PER_BAR))
        self.dry = np.zeros((2, self.frames))
        self.send = np.zeros((2, self.frames))
        self.pump = np.ones(self.frames)
        """The pad's gain: it steps back for a moment at each kick."""
        self.kit = {
            "kick": kick(sample_rate_hz),
            "snare": snare(sample_rate_hz, self.rng),
            "closed hat": hat(sample_rate_hz, self.rng, decay_s=0.025),
            "open hat": hat(sample_rate_hz, self.rng, decay_s=0.11),
        }

    def play(self) -> Signal:
        """Every bar, then the room, then the level: stereo, peak at ``PEAK_DBFS``."""
        for bar in range(self.bars):
            section = next(s for s in SECTIONS if (bar + 1) / self.bars <= s.until)
            self.drums(bar, section)
            self.bass(bar, section)
        for bar in range(self.bars):
            section = next(s for s in SECTIONS if (bar + 1) / self.bars <= s.until)
            self.pad(bar, section)
            self.lead(bar, section)
        mix = self.dry + 0.5 * room(self.send, self.rate, self.rng)
        fade = round(0.4 * self.rate)
        mix[:, -fade:] *= np.cos(np.linspace(0.0, np.pi / 2, fade)) ** 2
        mix *= _linear(PEAK_DBFS) / np.abs(mix).max()
        return mix

    def drums(self, bar: int, section: Section) -> None:
        """Kick and snare on their eighths; hats swing in level, the last one of a bar opens."""
        level = section.level_db
        for eighth in section.kick:
            self._add(self.kit["kick"], self._at(bar, eighth), level + 1.0)
            self._duck(self._at(bar, eighth))
        for eighth in section.snare:
            self._add(self.kit["snare"], self._at(bar, eighth), level - 4.0, pan=0.05, send_db=-12)
        for i in range(section.hats_per_bar):
            last = i == section.hats_per_bar - 1
            accent = (0.0, -7.0, -3.0, -6.0)[i % 4] + self.rng.uniform(-1.5, 1.0)
            late_s = self.rng.uniform(0.0, 0.006)
            start = self._at(bar, i * 8 / section.hats_per_bar) + round(late_s * self.rate)
            name = "open hat" if last else "closed hat"
            self._add(self.kit[name], start, level - 15.0 + accent, pan=0.35, send_db=-18)

    def bass(self, bar: int, section: Section) -> None:
        """The chord's root with the kick, and its fifth or octave on the way to the next."""
        if not section.kick:
            return
        root = self._chord(bar)[0]
        notes = [(eighth, root) for eighth in section.kick]
        if section.snare:
            notes += [(6, root + 12), (7, root + 7)]
        ends = [eighth for eighth, _ in notes[1:]] + [8]
        for (eighth, note), end in zip(notes, ends, strict=True):
            frames = self._at(0, max(end - eighth, 1) * 0.92)
            tone = self._tone(note, frames, tilt=1.7) * _envelope(frames, self.rate, 0.006, 0.5)
            self._add(tone, self._at(bar, eighth), section.level_db - 6.0)

    def pad(self, bar: int, section: Section) -> None:
        """Four notes of three detuned voices each; every voice wanders across the image."""
        start = self._at(bar, 0)
        last = bar == self.bars - 1
        frames = self._at(0, 8) + round((TAIL_S if last else 0.35) * self.rate)
        frames = min(frames, self.frames - start)
        swell = _envelope(frames, self.rate, 0.12, 1.1 if last else 3.5)
        swell *= self.pump[start : start + frames]
        time_s = (start + np.arange(frames)) / self.rate
        for i, note in enumerate(self._chord(bar)[1]):
            for k, cents in enumerate((-7.0, 1.0, 6.0)):
                voice = self._tone(note + cents / 100.0, frames, tilt=section.tilt) * swell
                wander = np.sin(2 * np.pi * (0.07 + 0.013 * i) * time_s + 2.1 * k + 1.3 * i)
                self._add(voice, start, section.level_db - 17.5, pan=0.85 * wander, send_db=-5)

    def lead(self, bar: int, section: Section) -> None:
        """The melody with a late vibrato, and its echo a dotted eighth later on either side."""
        if section.lead_db is None:
            return
        for eighth, note, length in MELODY[bar % len(MELODY)]:
            frames = self._at(0, length)
            sway = np.clip(np.arange(frames) / (0.35 * self.rate) - 0.5, 0.0, 1.0)
            vibrato = 0.18 * sway * np.sin(2 * np.pi * 5.3 * np.arange(frames) / self.rate)
            tone = self._tone(note + vibrato, frames, tilt=1.9)
            tone *= _envelope(frames, self.rate, 0.015, 0.9)
            start = self._at(bar, eighth)
            self._add(tone, start, section.lead_db - 9.0, pan=-0.1, send_db=-8)
            for echo, pan in ((1, -0.7), (2, 0.7), (3, -0.5)):
                later = start + self._at(0, 1.5 * echo)
                self._add(tone, later, section.lead_db - 14.0 - 5.0 * echo, pan=pan, send_db=-6)

    def _chord(self, bar: int) -> tuple[int, tuple[int, ...]]:
        """Root and notes; the piece ends on the last chord of the round."""
        i = len(CHORDS) - 1 if bar == self.bars - 1 else bar % len(CHORDS)
        return ROOTS[i], CHORDS[i]

    def _at(self, bar: int, eighth: float) -> int:
        """Frame at which the eighth of the bar begins."""
        return round((bar * BEATS_PER_BAR + eighth / 2) * self.beat_s * self.rate)

    def _tone(self, note: float | Signal, frames: int, *, tilt: float) -> Signal:
        """A periodic wave at the MIDI note, which may bend, with a random starting phase."""
        pitch_hz = 440.0 * 2.0 ** ((np.asarray(note, dtype=np.float64) - 69.0) / 12.0)
        harmonics = int(min(24, 0.45 * self.rate / float(pitch_hz.max())))
        table = _wavetable(harmonics, tilt)
        phase = np.cumsum(np.broadcast_to(pitch_hz / self.rate, frames)) + self.rng.random()
        tone: Signal = table[(phase * TABLE_SIZE).astype(np.int64) % TABLE_SIZE]
        return tone

    def _add(
        self,
        sound: Signal,
        start: int,
        level_db: float,
        *,
        pan: float | Signal = 0.0,
        send_db: float | None = None,
    ) -> None:
        """Into the mix at constant power: pan −1 is left, +1 right; what overhangs is cut."""
        length = min(sound.size, self.frames - start)
        if length <= 0:
            return
        angle = (np.broadcast_to(pan, sound.size)[:length] + 1.0) * np.pi / 4
        sides = _linear(level_db) * sound[:length] * np.stack((np.cos(angle), np.sin(angle)))
        self.dry[:, start : start + length] += sides
        if send_db is not None:
            self.send[:, start : start + length] += _linear(send_db) * sides

    def _duck(self, start: int) -> None:
        """3 dB down at the kick and back within a third of a second."""
        length = min(round(0.33 * self.rate), self.frames - start)
        dip = 1.0 - 0.3 * np.exp(-np.arange(length) / (0.09 * self.rate))
        self.pump[start : start + length] *= dip


def kick(rate_hz: int) -> Signal:
    """A sine that falls from 160 to 48 Hz, with a click of a few milliseconds before it."""
    time_s = np.arange(round(0.38 * rate_hz)) / rate_hz
    sweep_hz = 48.0 + 112.0 * np.exp(-time_s / 0.032)
    body = np.sin(2 * np.pi * np.cumsum(sweep_hz) / rate_hz) * np.exp(-time_s / 0.11)
    click = np.sin(2 * np.pi * 2400.0 * time_s) * np.exp(-time_s / 0.003)
    return _soft_start(body + 0.15 * click, rate_hz)


def snare(rate_hz: int, rng: np.random.Generator) -> Signal:
    """Two drum-head tones under a burst of noise."""
    time_s = np.arange(round(0.32 * rate_hz)) / rate_hz
    head = np.sin(2 * np.pi * 186.0 * time_s) + 0.6 * np.sin(2 * np.pi * 331.0 * time_s)
    wires = _shaped_noise(time_s.size, rate_hz, rng, low_hz=900.0, high_hz=9000.0)
    strike = 0.5 * head * np.exp(-time_s / 0.06) + 0.35 * wires * np.exp(-time_s / 0.075)
    return _soft_start(strike, rate_hz)


def hat(rate_hz: int, rng: np.random.Generator, *, decay_s: float) -> Signal:
    """High noise that dies away; short when closed, longer when open."""
    time_s = np.arange(round(6 * decay_s * rate_hz)) / rate_hz
    noise = _shaped_noise(time_s.size, rate_hz, rng, low_hz=6500.0, high_hz=15000.0)
    return _soft_start(noise * np.exp(-time_s / decay_s), rate_hz)


def room(send: Signal, rate_hz: int, rng: np.random.Generator) -> Signal:
    """Convolution with two decorrelated, darkening noise tails: a hall of 1.6 s (RT60)."""
    time_s = np.arange(round(1.8 * rate_hz)) / rate_hz
    size = 1 << (send.shape[1] + time_s.size - 1).bit_length()
    wet = np.empty_like(send)
    for side in range(2):
        bright = _shaped_noise(time_s.size, rate_hz, rng, low_hz=250.0, high_hz=7000.0)
        dark = _shaped_noise(time_s.size, rate_hz, rng, low_hz=150.0, high_hz=2200.0)
        tail = bright * np.exp(-time_s / 0.1) + 0.6 * dark * np.exp(-time_s / 0.23)
        tail[: round(0.018 * rate_hz)] = 0.0
        tail /= np.sqrt(np.sum(tail**2))
        spectrum = np.fft.rfft(send[side], size) * np.fft.rfft(tail, size)
        wet[side] = np.fft.irfft(spectrum, size)[: send.shape[1]]
    return wet


@lru_cache(maxsize=64)
def _wavetable(harmonics: int, tilt: float) -> Signal:
    """One period of a band-limited saw-like wave, RMS 1/√2 as a sine's."""
    phase = 2 * np.pi * np.arange(TABLE_SIZE) / TABLE_SIZE
    order = np.arange(1, max(harmonics, 1) + 1)
    amplitude = order**-tilt / np.sqrt(np.sum(order ** (-2.0 * tilt)))
    table: Signal = np.sin(np.outer(phase, order)) @ amplitude
    table.flags.writeable = False
    return table


def _shaped_noise(
    frames: int, rate_hz: int, rng: np.random.Generator, *, low_hz: float, high_hz: float
) -> Signal:
    """White noise through gentle slopes below ``low_hz`` and above ``high_hz``, RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(frames))
    frequency_hz = np.fft.rfftfreq(frames, 1 / rate_hz)
    low, high = (frequency_hz / low_hz) ** 4, (frequency_hz / high_hz) ** 4
    noise = np.fft.irfft(spectrum * low / (1 + low) / (1 + high), frames)
    shaped: Signal = noise / np.sqrt(np.mean(noise**2))
    return shaped


def _envelope(frames: int, rate_hz: int, attack_s: float, decay_s: float) -> Signal:
    """A linear rise, an exponential fall, and a short release to zero at the very end."""
    time_s = np.arange(frames) / rate_hz
    release = np.clip((frames / rate_hz - time_s) / 0.06, 0.0, 1.0)
    return np.clip(time_s / attack_s, 0.0, 1.0) * np.exp(-time_s / decay_s) * release


def _soft_start(sound: Signal, rate_hz: int) -> Signal:
    """Half a millisecond up, so that a drum is a blow and not a broken sample."""
    rise = np.clip(np.arange(sound.size) / (0.0005 * rate_hz), 0.0, 1.0)
    return sound * rise


def _linear(level_db: float) -> float:
    return float(10.0 ** (level_db / 20.0))


def _write_wav(target: Path, stereo: Signal, sample_rate_hz: int) -> None:
    """24-bit little-endian PCM: the low three bytes of each 32-bit integer."""
    whole = np.rint(stereo.T * (2**23 - 1)).astype("<i4")
    packed = np.ascontiguousarray(whole).view(np.uint8).reshape(-1, 4)[:, :3]
    with wave.open(str(target), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(3)
        file.setframerate(sample_rate_hz)
        file.writeframes(packed.tobytes())
