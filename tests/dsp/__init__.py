"""The meters and the stages of the signal path."""
