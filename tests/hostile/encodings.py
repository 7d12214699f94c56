"""The music in every container that is accepted, as FFmpeg writes it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.hostile.inputs import Workshop


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a container is written; ``declares`` whether it says how long it is."""

    suffix: str
    arguments: str = ""
    rate_hz: int = 44_100
    channels: int = 2

    def data(self, workshop: Workshop) -> bytes:
        """The music in it."""
        return workshop.encoded(
            self.suffix, self.arguments, rate_hz=self.rate_hz, channels=self.channels
        )


ENCODINGS = {
    "mp3": Encoding("mp3", "-b:a 128k"),
    "mp3 vbr": Encoding("mp3", "-q:a 4"),
    "mp3 without xing": Encoding("mp3", "-b:a 128k -write_xing 0"),
    "mp3 vbr without xing": Encoding("mp3", "-q:a 4 -write_xing 0 -id3v2_version 0"),
    "mp2": Encoding("mp2", "-b:a 192k"),
    "wav": Encoding("wav"),
    "wav float": Encoding("wav", "-c:a pcm_f32le"),
    "wav adpcm": Encoding("wav", "-c:a adpcm_ms"),
    "rf64": Encoding("wav", "-rf64 always"),
    "w64": Encoding("w64"),
    "flac": Encoding("flac"),
    "aiff": Encoding("aiff"),
    "au": Encoding("au"),
    "m4a": Encoding("m4a", "-c:a aac"),
    "m4a faststart": Encoding("m4a", "-c:a aac -movflags +faststart"),
    "m4a fragmented": Encoding(
        "m4a", "-c:a aac -movflags frag_keyframe+empty_moov -frag_duration 500000"
    ),
    "m4a alac": Encoding("m4a", "-c:a alac -movflags +faststart"),
    "mov pcm": Encoding("mov", "-c:a pcm_s16le -movflags +faststart"),
    "3gp amr": Encoding("3gp", "-c:a libopencore_amrnb -b:a 12.2k -movflags +faststart", 8_000, 1),
    "ogg vorbis": Encoding("ogg", "-c:a libvorbis"),
    "ogg opus": Encoding("opus", "-c:a libopus", 48_000),
    "ogg flac": Encoding("ogg", "-c:a flac"),
    "wma": Encoding("wma", "-c:a wmav2"),
    "wv": Encoding("wv", "-c:a wavpack"),
    "ac3": Encoding("ac3"),
    "eac3": Encoding("eac3"),
    "mka": Encoding("mka", "-c:a flac"),
    "mka live": Encoding("mka", "-c:a libvorbis -live 1"),
    "webm": Encoding("webm", "-c:a libopus", 48_000),
    "caf": Encoding("caf", "-c:a pcm_s16le"),
    "caf alac": Encoding("caf", "-c:a alac"),
    "tta": Encoding("tta"),
    "avi": Encoding("avi", "-c:a pcm_s16le"),
    "avi mp3": Encoding("avi", "-c:a libmp3lame"),
    "ts aac": Encoding("ts", "-c:a aac"),
    "ts mp2": Encoding("ts", "-c:a mp2"),
    "mpg": Encoding("mpg", "-c:a mp2"),
    "flv": Encoding("flv", "-c:a libmp3lame"),
    "flv aac": Encoding("flv", "-c:a aac"),
    "adts": Encoding("aac", "-c:a aac"),
}
"""Name of each, in the table's words."""
