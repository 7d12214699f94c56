"""A job's story in the log: its beginning, a line for each stage as it ends, and its end."""

from __future__ import annotations

from audio_processor.telemetry.logs import get_logger
from audio_processor.telemetry.run import End, Left, Listener, Run

log = get_logger(__name__)


class JobLog(Listener):
    """Writes them; the ids come from the context, and are said outright where there is none."""

    def begun(self, run: Run, /) -> None:
        """Log the job's beginning."""
        log.info("track begun", **_ids(run), file_name=run.claim.file_name)

    def left(self, run: Run, /, left: Left) -> None:
        """Log the stage that was left."""
        log.info(
            "stage ended",
            **_ids(run),
            stage=left.stage,
            seconds=round(left.seconds, 3),
            cpu_seconds=round(left.cpu_s, 3),
            **({} if left.error is None else {"error": type(left.error).__name__}),
        )

    def ended(self, run: Run, /, end: End) -> None:
        """Log the job's end, with FFmpeg's own words where it did not complete."""
        said = [
            {"doing": each.doing, "returncode": each.returncode, "stderr": each.stderr}
            for each in end.words
        ]
        facts = {
            "seconds": None if end.seconds is None else round(end.seconds, 2),
            "error_code": end.error_code,
            "error": end.error_message,
            "ffmpeg": said if end.outcome in {"failed", "retry_later"} else None,
        }
        log.info(
            "track ended",
            **_ids(run),
            file_name=run.claim.file_name,
            outcome=end.outcome,
            **{name: value for name, value in facts.items() if value not in (None, "", [])},
        )


def _ids(run: Run) -> dict[str, object]:
    return {
        "upload_id": run.claim.upload_id,
        "track_id": run.track_id,
        "attempt": run.claim.attempt,
    }
