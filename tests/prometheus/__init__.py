"""Alert rules, dashboard and runbook, held against the program and a real Prometheus."""
