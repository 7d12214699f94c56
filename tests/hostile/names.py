"""File names that artists, or those who pose as them, might give."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostileName:
    """A name, and whether it is accepted as a track's."""

    title: str
    name: str
    accepted: bool


ACCEPTED = {
    "leading dash": "-i.wav",
    "two leading dashes": "--help.wav",
    "option with a value": "-f lavfi -i sine.wav",
    "percent": "%0d%0a.wav",
    "percent-encoded way up": "..%2f..%2fetc%2fpasswd.wav",
    "format string": "%s%n%x.wav",
    "shell": "$(touch pwned);`id`|cat&.wav",
    "sql": "'); DROP TABLE Uploads; --.wav",
    "single quote": "it's.wav",
    "double quotes": 'a "quoted" one.wav',
    "spaces": "  a   song  .wav",
    "only an extension of dots": "a...wav",
    "emoji": "🎵🔥👩\u200d🎤.wav",
    "right-to-left text": "شعر.wav",
    "composed": unicodedata.normalize("NFC", "Übergrößen.wav"),
    "decomposed": unicodedata.normalize("NFD", "Übergrößen.wav"),
    "wildcards": "*?[a-z].wav",
    "url": "http:127.0.0.1:9.wav",
    "protocol": "concat:a|b.wav",
    "stream": "pipe:0.wav",
    "query": "song?x=1#t=2.wav",
    "windows device": "CON.wav",
    "windows stream": "song.wav:hidden.wav",
    "hash and comment": "#EXTM3U.wav",
    "html": "<script>alert(1)<b>.wav",
    "template": "{0}{title}${jndi:x}.wav",
    "tilde": "~root.wav",
    "no extension": "song",
    "hidden file": ".hidden.wav",
    "playlist's own name": "playlist.wav",
    "tier's own name": "high.wav",
    "temporary name": ".partial.wav",
    "255 bytes": "x" * 251 + ".wav",
    "255 bytes of emoji": "🎵" * 62 + "xyz.wav",
}
REJECTED = {
    "nothing": "",
    "way up": "../../etc/passwd",
    "way up and back": "../tracks/song.wav",
    "two dots": "..",
    "a dot": ".",
    "three dots": "...",
    "dots and an extension": "...wav",
    "absolute": "/etc/passwd",
    "folder": "folder/song.wav",
    "backslashes": "..\\..\\windows\\song.wav",
    "NUL": "song\0.wav",
    "NUL before an extension": "song.wav\0.exe",
    "newline": "song\n.wav",
    "carriage return": "song\r\nX-Header: y.wav",
    "tab": "song\t.wav",
    "escape sequence": "\x1b[2Jsong.wav",
    "delete": "song\x7f.wav",
    "C1 control": "song\x9b.wav",
    "line separator": "song\u2028.wav",
    "right-to-left override": "song\u202evaw.exe",
    "isolate": "song\u2066.wav",
    "lone surrogate": "song\ud800.wav",
    "only spaces": "   .wav",
    "only what cannot be seen": "\u200b\u2060\ufeff.wav",
    "only wide spaces": "\u3000\u00a0.wav",
    "256 bytes": "x" * 252 + ".wav",
    "255 bytes and no room for the extension of an m4a": "x" * 255,
    "253 bytes and a short extension": "x" * 252 + ".a",
    "255 characters, each of four bytes": "🎵" * 251 + ".wav",
}
NAMES = tuple(
    HostileName(title, name, accepted)
    for names, accepted in ((ACCEPTED, True), (REJECTED, False))
    for title, name in names.items()
)
