"""``python -m audio_processor``."""

from audio_processor.cli import main

if __name__ == "__main__":
    main()
