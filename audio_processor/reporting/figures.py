"""The page's pictures with their legends and what they show: one section each."""

from __future__ import annotations

from collections.abc import Iterator

from audio_processor.reporting import goniometer, plots, spectra
from audio_processor.reporting.cards import (
    MODES,
    NAMES,
    card,
    halves,
    in_words,
    legend,
    length,
    plot,
)
from audio_processor.reporting.data import Delivered, Programme, ReportData
from audio_processor.reporting.markup import Markup, element, group
from audio_processor.reporting.verdicts import mono_loss_db, signed


def waveforms(data: ReportData) -> Markup:
    """Return the waveforms, before above after, on one time axis."""
    duration_s = plots.duration_of(data)
    lanes = []
    for kind, programme in halves(data):
        label = (
            f"Waveform {kind} mastering, {length(programme.duration_s)} long, "
            f"highest sample {in_words(programme.loudness.sample_peak_dbfs, 'dBFS')}."
        )
        lanes.append(
            group(
                element("p", NAMES[kind], class_="lane-name"),
                plot(plots.waveform(programme, duration_s, kind, label)),
            )
        )
    return card(
        "waveform",
        "Waveform",
        *lanes,
        element(
            "p",
            "Light: the peaks of both channels. Dark: the RMS of each column. Amplitude is "
            "linear, times are minutes and seconds.",
            class_="about",
        ),
    )


def loudness(data: ReportData) -> Markup | None:
    """Return loudness over time with target and integrated values."""
    told = data.delivered
    words = [
        f"{kind} {in_words(each.loudness.integrated_lufs, 'LUFS')}" for kind, each in halves(data)
    ]
    label = f"Short-term loudness over time. Integrated: {', '.join(words)}."
    if told is not None:
        label += f" Target {in_words(told.targets.integrated_lufs, 'LUFS')}."
    drawn = plots.loudness(data, label)
    if drawn is None:
        return card(
            "loudness",
            "Loudness over time",
            element("p", "Shorter than 400 ms, or silent: there is no loudness.", class_="about"),
        )
    entries = [
        (kind, f"{NAMES[kind]}: {in_words(each.loudness.integrated_lufs, 'LUFS')} integrated")
        for kind, each in halves(data)
    ]
    if data.after is not None:
        entries.append(("momentary", "span of the momentary loudness, after"))
    if told is not None:
        entries.append(("target", f"target {in_words(told.targets.integrated_lufs, 'LUFS')}"))
    short = plots.duration_of(data) < 3.0
    window = "Momentary loudness (400 ms windows)" if short else "Short-term loudness (3 s windows)"
    return card(
        "loudness",
        "Loudness over time",
        legend(entries),
        plot(drawn),
        element(
            "p",
            f"{window} by BS.1770-5 and EBU Tech 3341, each drawn at its window's middle. "
            "The marks at the right edge are the integrated values.",
            class_="about",
        ),
    )


def gain(data: ReportData) -> Markup | None:
    """Return the gain over time, and the limiter's gain reduction."""
    drawn = plots.gain(data, "Gain over time: the change of momentary loudness from before.")
    if drawn is None:
        return None
    entries = [("after", "measured: change of momentary loudness")]
    told = data.delivered
    if told is not None:
        static_db = told.plan.gain_db + told.m4a_trim_db
        rides = data.gain is not None and data.gain.rider is not None
        rider = ", and the level rider" if rides else ""
        planned = f"planned: static gain {signed(static_db, 2, plus=True)} dB{rider}"
        entries.append(("target", planned))
    return card(
        "gain",
        "Gain and gain reduction over time",
        legend(entries),
        plot(drawn),
        element("p", *_gain_words(told), class_="about"),
        _reduction(data),
    )


def _reduction(data: ReportData) -> Markup | None:
    if data.gain is None:
        return None
    deepest = float(data.gain.reduction_db.max(initial=0.0))
    drawn = plots.reduction(data, f"Limiter's gain reduction, at most {deepest:.1f} dB.")
    if drawn is None:
        return element("p", "The limiter had nothing to do in the m4a.", class_="about")
    active = 100.0 * float((data.gain.reduction_db >= plots.LEAST_REDUCTION_DB).mean())
    return group(
        element("p", "Gain reduction of the limiter", class_="lane-name"),
        plot(drawn),
        element(
            "p",
            f"The deepest of each 100 ms, at most {deepest:.1f} dB, active in {active:.0f} % of "
            "them: computed from the programme's true peaks by the limiter's own gain computer.",
            class_="about",
        ),
    )


def _gain_words(told: Delivered | None) -> Iterator[str]:
    yield (
        "Measured is everything that was done to the level in between, mastering chain, limiter "
        "and codec included; left out where either is 30 LU below its programme."
    )
    if told is None:
        return
    plan = told.plan
    yield f" The plan: {MODES[plan.mode]}, {signed(plan.gain_db, 2, plus=True)} dB"
    if told.m4a_trim_db:
        yield f", and {signed(told.m4a_trim_db, 2, plus=True)} dB for the m4a's encode"
    if plan.rider_db is not None:
        low, high = (signed(each, 1, plus=True) for each in plan.rider_db)
        yield f"; the rider moves between {low} and {high} dB"
    yield "."


_REFERENCE_LEVEL = (
    " The reference is drawn at the K-weighted loudness of what is delivered, as the match "
    "compares them."
)


def spectrum(data: ReportData) -> Markup | None:
    """Return the long-term spectra and what changed."""
    drawn = spectra.spectrum(data, "Long-term spectrum in third octaves, 20 Hz to 20 kHz.")
    if drawn is None:
        return None
    entries = [(kind, NAMES[kind]) for kind, _ in halves(data)]
    if data.reference is not None:
        entries.append(("reference", f"reference: {data.reference.name}"))
    changed = spectra.change(data, "Change of each third octave against the whole, in dB.")
    return card(
        "spectrum",
        "Spectrum",
        legend(entries),
        plot(drawn),
        element(
            "p",
            "Mean power of left and right in third octaves; a full-scale sine reads 0 dBFS. Thin: "
            "1/24 octaves at the same height."
            + (_REFERENCE_LEVEL if data.reference is not None else ""),
            class_="about",
        ),
        None
        if changed is None
        else group(
            element("p", "Change of the balance", class_="lane-name"),
            plot(changed),
            element(
                "p",
                "Each third octave's change, less the change of the whole: what was done to the "
                "tone. The drop at the top is the codec's limit. A bar that ends in a point goes "
                f"on past {spectra.CHANGE_DB:.0f} dB.",
                class_="about",
            ),
        ),
    )


def stereo(data: ReportData) -> Markup:
    """Return the goniometers and the correlation over time."""
    pictures = []
    for kind, programme in halves(data):
        words = _correlation_words(programme)
        picture = goniometer.goniometer(
            programme.image, kind, f"Goniometer {kind} mastering. {words}"
        )
        pictures.append(
            element(
                "div",
                element("p", NAMES[kind], class_="lane-name"),
                picture,
                element("p", words, class_="about"),
            )
        )
    drawn = plots.correlation(data, "Correlation of left and right over time, −1 to +1.")
    return card(
        "stereo",
        "Stereo",
        element("div", pictures, class_="pair"),
        element(
            "p",
            "Mono stands upright, left and right lean to their sides, opposed phase lies flat. "
            "The diamonds are levels.",
            class_="about",
        ),
        None
        if drawn is None
        else group(
            element("p", "Correlation over time, of each second", class_="lane-name"),
            legend([(kind, NAMES[kind]) for kind, _ in halves(data)]),
            plot(drawn),
        ),
    )


def _correlation_words(programme: Programme) -> str:
    correlation = programme.facts.correlation
    if correlation is None:
        return "No correlation: silence, or one side of it."
    return (
        f"Correlation {signed(correlation, 2, plus=True)}; "
        f"summed to mono it loses {mono_loss_db(programme):.1f} dB."
    )
