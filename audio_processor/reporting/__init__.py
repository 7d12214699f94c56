"""Reports: one page that shows what became of a track, and excerpts to hear it by."""
