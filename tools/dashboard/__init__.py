"""Draws the Grafana dashboard: ``python -m tools.dashboard`` writes it, a test holds it to this."""
