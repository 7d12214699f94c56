#!/usr/bin/python3 -IS
"""HEALTHCHECK's question: is the worker's claim loop turning? Exit 0 where ``/live`` says so.

The standard library alone: it is asked every few seconds, beside the work. The port is the
environment's, or the default one; an image whose configuration file says another port passes it
on as ``AUDIO_PROCESSOR__WORKER__HEALTH_PORT``.
"""

import http.client
import os
import sys

PORT = int(os.environ.get("AUDIO_PROCESSOR__WORKER__HEALTH_PORT") or 8080)
TIMEOUT_S = 4.0

try:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=TIMEOUT_S)
    connection.request("GET", "/live")
    answer = connection.getresponse()
    print(answer.status, answer.read(200).decode("utf-8", "replace").strip())
    sys.exit(0 if answer.status == http.client.OK else 1)
except OSError as error:
    sys.exit(f"127.0.0.1:{PORT}: {error}")
