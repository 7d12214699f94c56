"""Audio Processor: claims uploads, masters and normalises them, publishes m4a and HLS."""
