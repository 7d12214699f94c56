"""The mastering engine's regression suite: fixed programmes through every preset."""
