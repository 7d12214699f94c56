"""The stages of the mastering chain, a file each; ``catalogue`` lists them in order."""
