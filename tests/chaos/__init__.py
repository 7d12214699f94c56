"""A fault harness: real workers on real servers, everything around them breaking.

``make chaos`` runs it long, ``test_short_run.py`` briefly in CI. ``run.py`` tells the story of
one run; ``judge.py`` has what must be true afterwards.
"""
