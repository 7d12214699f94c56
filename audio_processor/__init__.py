"""Audio Processor: claims uploads, masters and normalises them, publishes m4a and HLS.

>>> from audio_processor import AudioProcessor
>>> with AudioProcessor("my-bucket", {"host": "db", "user": "u", ...}) as processor:
...     successful, failed = processor.process_pending_tracks()

Importing this package imports nothing heavy and configures no logging.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audio_processor.app import AudioProcessor
    from audio_processor.settings import Settings, load_settings

__all__ = ["AudioProcessor", "Settings", "__version__", "load_settings"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    if name == "AudioProcessor":
        from audio_processor.app import AudioProcessor

        return AudioProcessor
    if name in {"Settings", "load_settings"}:
        from audio_processor import settings

        return getattr(settings, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
