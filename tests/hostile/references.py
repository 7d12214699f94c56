"""Files that name other files and servers: playlists, links, references; and what hides them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.hostile import writers
from tests.hostile.inputs import (
    CORRUPT,
    UNSUPPORTED,
    HostileInput,
    Make,
    Process,
    Reject,
    Survive,
    Verdict,
    Workshop,
    made,
)

_MPD = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'profiles="urn:mpeg:dash:profile:isoff-main:2011" mediaPresentationDuration="PT3S"><Period>'
    '<AdaptationSet mimeType="audio/mp4"><Representation id="a" bandwidth="1"><BaseURL>{0}'
    "</BaseURL></Representation></AdaptationSet></Period></MPD>"
)
PLAYLISTS: dict[str, str] = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{0}\n#EXT-X-ENDLIST\n",
    "m3u8 with a key": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n"
    '#EXT-X-KEY:METHOD=AES-128,URI="{0}"\n#EXTINF:9,\n{0}\n#EXT-X-ENDLIST\n',
    "m3u8 with a map": '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-MAP:URI="{0}"\n'
    "#EXTINF:9,\n{0}\n#EXT-X-ENDLIST\n",
    "m3u8 master": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{0}\n",
    "m3u": "#EXTM3U\n#EXTINF:9,song\n{0}\n",
    "ffconcat": "ffconcat version 1.0\nfile '{0}'\n",
    "ffconcat with options": "ffconcat version 1.0\nfile '{0}'\noption safe 0\n",
    "cue": 'FILE "{0}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
    "pls": "[playlist]\nFile1={0}\nNumberOfEntries=1\nVersion=2\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={0}\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio {1} RTP/AVP 0\na=control:{0}\n",
    "dash": _MPD,
    "asx": '<asx version="3.0"><entry><ref href="{0}"/></entry></asx>',
    "xspf": '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/">'
    "<trackList><track><location>{0}</location></track></trackList></playlist>",
    "wpl": '<?wpl version="1.0"?><smil><body><seq><media src="{0}"/></seq></body></smil>',
    "smil": '<smil><body><audio src="{0}"/></body></smil>',
    "imf": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/'
    '2067-3/2016"><Id>urn:uuid:0</Id><Annotation>{0}</Annotation></CompositionPlaylist>',
    "smooth streaming": '<SmoothStreamingMedia MajorVersion="2"><StreamIndex Type="audio" '
    'Url="{0}"/></SmoothStreamingMedia>',
    "real media link": "{0}\n",
    "internet shortcut": "[InternetShortcut]\r\nURL={0}\r\n",
    "asf reference": "[Reference]\r\nRef1={0}\r\nRef2={0}\r\n",
    "quicktime link": '<?quicktime type="application/x-quicktime-media-link"?><embed src="{0}"/>',
}
"""Each with a place for what it points at, and one for the listener's port."""

TARGETS = {
    "a file beside it": "{name}",
    "a file by its path": "{path}",
    "a file: URL": "file://{path}",
    "a server": "http://127.0.0.1:{port}/canary.wav",
}

_MORE_TARGETS = {
    "tcp": "tcp://127.0.0.1:{port}",
    "udp": "udp://127.0.0.1:{port}",
    "rtmp": "rtmp://127.0.0.1:{port}/x",
    "ftp": "ftp://127.0.0.1:{port}/x",
    "concat": "concat:{path}|{path}",
    "subfile": "subfile,,start,0,end,99999,,:{path}",
    "crypto": "crypto:{path}",
    "cache": "cache:{path}",
    "data": "data:text/plain,ffconcat%20version%201.0%0Afile%20{path}",
    "gopher": "gopher://127.0.0.1:{port}/x",
}
"""Other protocols, through the playlist that would follow them most readily."""


def _filled(text: str, target: str, workshop: Workshop) -> bytes:
    surroundings = workshop.surroundings
    aim = target.format(
        name=surroundings.canary.name, path=surroundings.canary, port=surroundings.port
    )
    return text.format(aim, surroundings.port).encode()


def _playlist(text: str, target: str, before: bytes = b"", after: bytes = b"") -> Make:
    return lambda workshop: before + _filled(text, target, workshop) + after


def _hidden() -> Iterator[tuple[str, Verdict, bytes, bytes]]:
    """What is put around a playlist to have it taken for audio."""
    refused = Reject(UNSUPPORTED)
    frames = writers.SILENT_MP3_FRAME * 115
    yield "behind an ID3 tag", Reject(CORRUPT), writers.id3(), b""
    yield (
        "behind an ID3 tag that is longer",
        Reject(CORRUPT),
        (writers.id3([writers.txxx("a", "b" * 3000)])),
        b"",
    )
    yield "behind mp3 frames", Survive(3.0), frames, b""
    yield "before mp3 frames", Survive(3.0), b"", frames
    yield (
        "behind a wav's header",
        Survive(0.0),
        writers.riff(writers.fmt(), b"data\xff\xff\xff\xff"),
        b"",
    )
    yield "behind a byte order mark", refused, b"\xef\xbb\xbf", b""
    yield "behind blank lines", refused, b"\n\n\n\n", b""
    yield "before a megabyte of nothing", refused, b"", bytes(1_000_000)


def _reference_movie(kind: str) -> Make:
    def make(workshop: Workshop) -> bytes:
        path = str(workshop.surroundings.canary)
        if kind == "url":
            location = f"file://{path}\0".encode()
            return writers.m4a(dref=writers.full_box(b"url ", location), media=b"")
        if kind == "http":
            location = f"http://127.0.0.1:{workshop.surroundings.port}/x\0".encode()
            return writers.m4a(dref=writers.full_box(b"url ", location), media=b"")
        name = workshop.surroundings.canary.name.encode()
        alias = (
            bytes(10)
            + bytes([4])
            + b"disk"
            + bytes(23)
            + bytes([len(name)])
            + name.ljust(63, b"\0")
        )
        alias += bytes(16) + struct.pack(">hh", 0, 0) + bytes(16)
        for tag, value in ((2, path.encode()), (18, path.encode()), (19, b"/")):
            alias += struct.pack(">hH", tag, len(value)) + value + b"\0" * (len(value) % 2)
        alias += struct.pack(">hH", -1, 0)
        return writers.m4a(dref=writers.full_box(b"alis", alias), media=b"")

    return make


def _linked_cover(workshop: Workshop) -> bytes:
    address = f"http://127.0.0.1:{workshop.surroundings.port}/cover.png".encode()
    tag = writers.id3([writers.apic(address, b"-->")])
    return tag + writers.SILENT_MP3_FRAME * 115


def _compressed_movie(workshop: Workshop) -> bytes:
    """A QuickTime reference movie: ``rmra`` with nothing but the way to another file."""
    place = f"file://{workshop.surroundings.canary}\0".encode()
    rdrf = writers.full_box(b"rdrf", b"url ", struct.pack(">I", len(place)), place)
    moov = writers.box(b"moov", writers.box(b"rmra", writers.box(b"rmda", rdrf)))
    return writers.box(b"ftyp", b"qt  \0\0\2\0qt  ") + moov


def inputs() -> Iterator[HostileInput]:
    """Every reference under a song's name."""
    for name, text in PLAYLISTS.items():
        for where, target in TARGETS.items():
            make = _playlist(text, target)
            yield made("reference", f"{name} to {where}", Reject(UNSUPPORTED), make)
    for name, target in _MORE_TARGETS.items():
        for playlist in ("m3u8", "ffconcat"):
            make = _playlist(PLAYLISTS[playlist], target)
            yield made("reference", f"{playlist} to {name}:", Reject(UNSUPPORTED), make)
    for playlist in ("m3u8", "ffconcat", "dash", "sdp", "cue", "pls"):
        for where, verdict, before, after in _hidden():
            make = _playlist(PLAYLISTS[playlist], "{path}", before, after)
            yield made("polyglot", f"{playlist} {where}", verdict, make)
    for playlist in ("m3u8", "ffconcat", "pls"):
        for where, verdict, before, after in _hidden():
            make = _playlist(PLAYLISTS[playlist], TARGETS["a server"], before, after)
            yield made("polyglot", f"{playlist} to a server {where}", verdict, make)
    for kind in ("url", "http", "alias"):
        make = _reference_movie(kind)
        title = f"m4a whose media is elsewhere, by {kind}"
        yield made("reference", title, Reject(CORRUPT), make, "m4a")
    yield made("reference", "reference movie", Reject(CORRUPT), _compressed_movie, "mov")
    yield made("reference", "mp3 whose cover is elsewhere", Process(3.0), _linked_cover)
    for extension in ("m3u8", "ffconcat", "mpd", "sdp", "cue"):
        make = _playlist(PLAYLISTS["m3u8"], "{name}")
        yield made("reference", f"m3u8 called .{extension}", Reject(UNSUPPORTED), make, extension)
