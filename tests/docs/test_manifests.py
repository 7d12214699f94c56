"""What the deployment page says of manifests, rendered by kubectl and granted on real servers."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.docs.pages import DOCS, ROOT, blocks
from tests.k8s.rendering import binary
from tests.servers.database import PASSWORD, DatabaseServer

DEPLOY = DOCS / "deploy.md"
Document = dict[str, Any]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """The page's overlay over the repository's own, as the API server would get it."""
    [block] = [b for b in blocks("yaml", DEPLOY) if b.text.startswith("apiVersion: kustomize")]
    folder = tmp_path_factory.mktemp("cluster")
    shutil.copytree(ROOT / "k8s", folder / "audio-processor" / "k8s")
    mine = folder / "deploy"
    mine.mkdir()
    (mine / "kustomization.yaml").write_text(block.text)
    [settings] = blocks("ini", DEPLOY)
    (mine / "settings.env").write_text(settings.text)
    (mine / "rds-ca.pem").write_text("a certificate\n")
    text = subprocess.run(
        [binary("kubectl"), "kustomize", str(mine)], capture_output=True, text=True, check=True
    ).stdout
    return [document for document in yaml.safe_load_all(text) if document]


def pods(documents: list[Document]) -> Iterator[Document]:
    for document in documents:
        if document["kind"] in {"Deployment", "Job"}:
            yield document["spec"]["template"]["spec"]
        if document["kind"] == "CronJob":
            yield document["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_the_overlay_reaches_every_pod(rendered: list[Document]) -> None:
    found = list(pods(rendered))
    assert len(found) == 3
    settings = {
        d["metadata"]["name"]: d["data"]
        for d in rendered
        if d["kind"] == "ConfigMap" and "AUDIO_PROCESSOR__" in str(d["data"])
    }
    assert len(settings) == 2  # the migration has its own
    for pod in found:
        [container] = pod["containers"]
        [source] = container["envFrom"]
        given = settings[source["configMapRef"]["name"]]
        ca_file = given["AUDIO_PROCESSOR__DATABASE__TLS_CA_FILE"]
        assert given["AUDIO_PROCESSOR__DATABASE__TYPE"] == "postgresql"
        assert container["image"] == "registry.example.com/audio-processor:0.1.0"
        [mount] = [m for m in container["volumeMounts"] if m["name"] == "database-ca"]
        [volume] = [v for v in pod["volumes"] if v["name"] == "database-ca"]
        [ca] = [d for d in rendered if d["metadata"]["name"] == volume["configMap"]["name"]]
        assert [f"{mount['mountPath']}/{name}" for name in ca["data"]] == [ca_file]


def test_the_overlay_changes_the_role(rendered: list[Document]) -> None:
    [account] = [
        d
        for d in rendered
        if d["kind"] == "ServiceAccount" and d["metadata"]["name"] == "audio-processor"
    ]
    [role] = account["metadata"]["annotations"].values()
    assert role == "arn:aws:iam::444455556666:role/audio-processor"


def test_kedas_operator_looks_for_authorities_where_they_are_mounted() -> None:
    """Its chart is not here; that the values agree with one another and with what is mounted is."""
    [block] = [b for b in blocks("yaml", DEPLOY) if b.text.startswith("env:")]
    values = yaml.safe_load(block.text)
    [variable] = values["env"]
    [volume] = values["volumes"]["keda"]["extraVolumes"]
    [mount] = values["volumes"]["keda"]["extraVolumeMounts"]
    assert variable["name"] == "SSL_CERT_DIR"
    assert mount["mountPath"] in variable["value"].split(":") and mount["name"] == volume["name"]
    [created] = re.findall(r"`kubectl -n keda create configmap (.+?)`", DEPLOY.read_text())
    name, source = created.split()
    assert volume["configMap"]["name"] == name
    file = source.removeprefix("--from-file=")
    assert f"sslrootcert={mount['mountPath']}/{file}`" in DEPLOY.read_text()


def grants(product: str) -> list[str]:
    [text] = [b.text for b in blocks("sql", DEPLOY) if b.text.startswith(f"-- {product}: audio_sc")]
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [one.strip() for one in "\n".join(lines).split(";") if one.strip()]


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_the_scalers_user_may_ask_its_question_and_no_other(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """The grants of the page, and the query of the manifest."""
    from database_manager import DatabaseManager

    name = "postgres_server" if kind == "postgresql" else "mariadb_server"
    server: DatabaseServer = request.getfixturevalue(name)
    config = server.fresh_database()
    DatabaseManager(config, server.db_type).migrate()
    user = f"scaler_{config['database'][-8:]}"
    for statement in grants("PostgreSQL" if kind == "postgresql" else "MySQL and MariaDB"):
        changed = statement.replace("audio_scaler", user).replace("'…'", f"'{PASSWORD}'")
        changed = changed.replace(" REQUIRE SSL", "").replace("music.", f"{config['database']}.")
        server.sql(config, changed)
    scaler = config | {"user": user}
    source = ROOT / "k8s" / "components" / "autoscaling" / kind / "scaled-object.yaml"
    [trigger] = yaml.safe_load(source.read_text())["spec"]["triggers"]
    [[count]] = server.sql(scaler, trigger["metadata"]["query"])
    assert int(count) == 0
    with pytest.raises(Exception, match=r"(?i)denied"):
        server.sql(scaler, "SELECT file_name FROM Uploads")
