"""A role for the service account (IRSA): no token for the API server, and yet credentials for S3.

What EKS's webhook adds to a pod (two variables, a token in a volume of its own) is added here to
the pod's environment; STS and S3 are one small server that says what it was asked.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from audio_processor.settings import load_settings
from audio_processor.storage import S3Options, open_store
from tests.k8s.rendering import kustomize, one, pod

CREDENTIALS = """<AssumeRoleWithWebIdentityResponse
 xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
 <AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/audio-processor/x</Arn>
 <AssumedRoleId>AROAEXAMPLE:x</AssumedRoleId></AssumedRoleUser><Credentials>
 <AccessKeyId>ASIAFROMTHEROLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
 <SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>
 </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
NO_SUCH_KEY = "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"


class Amazon:
    """STS and S3 in one place, and what they were asked."""

    def __init__(self) -> None:
        self.assumed: list[dict[str, list[str]]] = []
        self.signed: list[tuple[str, str | None]] = []
        self.url = ""


@pytest.fixture
def amazon() -> Iterator[Amazon]:
    state = Amazon()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            state.assumed.append(parse_qs(body))
            self._answer(200, CREDENTIALS)

        def do_GET(self) -> None:
            token = self.headers.get("X-Amz-Security-Token")
            state.signed.append((self.headers.get("Authorization", ""), token))
            self._answer(404, NO_SUCH_KEY)

        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # the base's name
            """Say nothing: the lists have it all."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_workers_role_signs_its_requests(
    amazon: Amazon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = kustomize("mysql")
    worker = pod(docs, "worker")
    account = one(docs, "ServiceAccount", worker.spec["serviceAccountName"])
    role = account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
    token = tmp_path / "token"
    token.write_text("projected-token")
    # the key for an S3 without roles is optional, and not there: no variable, then
    optional = {
        variable["name"]
        for variable in worker.container["env"]
        if variable["valueFrom"]["secretKeyRef"].get("optional")
    }
    environment = {k: v for k, v in worker.environment(docs).items() if k not in optional}
    settings = load_settings(environ=environment).storage
    assert settings.access_key_id is None and settings.secret_access_key is None
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", amazon.url)
    monkeypatch.setenv("AWS_ROLE_ARN", role)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    assert settings.bucket is not None
    store = open_store(S3Options(settings.bucket, endpoint_url=amazon.url, region=settings.region))
    store.ping()
    [assumed] = amazon.assumed
    assert assumed["Action"] == ["AssumeRoleWithWebIdentity"]
    assert assumed["RoleArn"] == [role]
    assert assumed["WebIdentityToken"] == ["projected-token"]
    assert amazon.signed
    for authorization, session in amazon.signed:
        assert "Credential=ASIAFROMTHEROLE/" in authorization
        assert session == "session"
