"""Everything that can go wrong, and what becomes of the track then.

    AudioProcessorError
    ├── ConfigError            exit 2 at start; names the key and what to do
    ├── PermanentError         the track is failed now: trying again cannot help
    │   ├── SourceMissing      no raw object under the row's file name
    │   ├── UnsupportedMedia   not audio, or a container or codec outside the whitelist
    │   ├── CorruptMedia       audio, but damaged, truncated, or with NaN or Inf in it
    │   ├── LimitExceeded      too long, too large, too many channels, too much of anything
    │   ├── NameRejected       a file name that cannot be a safe key
    │   ├── OutputConflict     another upload owns this track id's output
    │   └── MasteringRejected  mastering settings that cannot be; names key, value and range
    ├── TransientError         back to pending with backoff, until the attempts run out
    │   ├── StoreUnavailable   S3 or the folder cannot be reached, or refuses us
    │   ├── ObjectChanged      another writer was there before a conditional write
    │   ├── DatabaseUnavailable  the database cannot be reached, or refuses us
    │   ├── EncoderTimeout     FFmpeg stood still, or took longer than it may
    │   ├── EncoderKilled      FFmpeg was killed, and not by us: for want of memory, say
    │   └── DiskFull           scratch or the target folder has no room
    ├── VerificationFailed     what was encoded is not what was promised; bounded retry
    ├── LeaseLost              another worker owns the row: stop, publish and record nothing
    │   └── LeaseLapsed        it could not be renewed: stop, and hand the row back if it is there
    ├── Interrupted            this worker is stopping: hand the row back, attempt refunded
    └── RequestRefused         what an operator asked of the queue cannot be done
        ├── UnknownUpload      no row has this id or file name
        └── UploadBusy         the upload is in work, or has completed

Foreign errors (botocore, SQLAlchemy, OSError) are translated into these at the edge, in
one table per adapter. Each class has a stable ``code`` that goes into ``error_code``.
"""

from __future__ import annotations

from typing import ClassVar


class AudioProcessorError(Exception):
    """Root of the tree. ``str(error)`` is a sentence that an operator or artist can act on."""

    code: ClassVar[str] = "internal_error"


class ConfigError(AudioProcessorError):
    """A setting is missing, unknown or out of range; the message names its key."""

    code = "config_error"


class PermanentError(AudioProcessorError):
    """Trying this track again cannot help."""

    code = "permanent_error"


class SourceMissing(PermanentError):
    """The raw object is not in the store."""

    code = "source_missing"


class UnsupportedMedia(PermanentError):
    """Not audio, or in a container or codec that is not accepted."""

    code = "unsupported_media"


class CorruptMedia(PermanentError):
    """Audio, but damaged, truncated or with samples that are no numbers."""

    code = "corrupt_media"


class LimitExceeded(PermanentError):
    """The file is over one of the configured limits; the message names it."""

    code = "limit_exceeded"


class NameRejected(PermanentError):
    """The file name cannot be used as an object key and an output name."""

    code = "name_rejected"


class OutputConflict(PermanentError):
    """Another upload with the same stem owns this output."""

    code = "output_conflict"


class MasteringRejected(PermanentError):
    """The mastering asked for cannot be; the message names the key, the value and the range."""

    code = "mastering_rejected"


class TransientError(AudioProcessorError):
    """Trying again later may help."""

    code = "transient_error"


class StoreUnavailable(TransientError):
    """The object store cannot be reached or refused the request."""

    code = "store_unavailable"


class ObjectChanged(TransientError):
    """What a write was to replace is not what is there; nothing was written."""

    code = "object_changed"


class DatabaseUnavailable(TransientError):
    """The database cannot be reached or refused the statement."""

    code = "database_unavailable"


class EncoderTimeout(TransientError):
    """An FFmpeg process stood still or took longer than it may."""

    code = "encoder_timeout"


class EncoderKilled(TransientError):
    """Something outside killed an FFmpeg process; the track need not be the reason."""

    code = "encoder_killed"


class DiskFull(TransientError):
    """No room in the scratch folder or in the target folder."""

    code = "disk_full"


class VerificationFailed(AudioProcessorError):
    """A delivered file does not measure as promised."""

    code = "verification_failed"


class LeaseLost(AudioProcessorError):
    """Another worker owns the row now; nothing more may be published or recorded."""

    code = "lease_lost"


class LeaseLapsed(LeaseLost):
    """The database did not answer until the lease had run out; perhaps nobody has the row yet."""

    code = "lease_lapsed"


class Interrupted(AudioProcessorError):
    """This worker is stopping before the job's end; the row is handed back."""

    code = "interrupted"


class RequestRefused(AudioProcessorError):
    """What an operator asked of the queue cannot be done."""

    code = "request_refused"


class UnknownUpload(RequestRefused):
    """No row has this id or file name."""

    code = "unknown_upload"


class UploadBusy(RequestRefused):
    """The upload is in work, or has completed."""

    code = "upload_busy"
