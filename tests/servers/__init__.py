"""Real servers (and unruly ones) that the tests start on free ports and stop afterwards."""
