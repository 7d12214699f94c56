"""The alert rules, the dashboard and the settings, put into what Kubernetes takes them from.

``k8s/base/prometheus/alerts.yaml`` and ``k8s/base/grafana/audio-processor.json`` are written by
hand; the PrometheusRule, the dashboard's ConfigMap and the chart's copies (Helm reads no file
outside of its chart) are made from them, and the names of the settings in the schema of the
chart's values from the program's own: ``python -m tools.kubernetes_embeds``.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from audio_processor.settings.keys import keys

K8S = Path(__file__).parents[1] / "k8s"
ALERTS = K8S / "base/prometheus/alerts.yaml"
DASHBOARD = K8S / "base/grafana/audio-processor.json"
SCHEMA = K8S / "chart/values.schema.json"
MADE = "# Made by tools/kubernetes_embeds.py from {source}: change that.\n"

RULE = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: audio-processor
  namespace: audio-processor
  labels:
    app.kubernetes.io/name: audio-processor
    app.kubernetes.io/component: worker
spec:
"""
CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: audio-processor-dashboard
  namespace: audio-processor
  labels:
    app.kubernetes.io/name: audio-processor
    app.kubernetes.io/component: worker
    grafana_dashboard: "1"
data:
  audio-processor.json: |
"""


def embeds() -> dict[Path, str]:
    """Return what each made file is to hold."""
    alerts, dashboard = (path.read_text(encoding="utf-8") for path in (ALERTS, DASHBOARD))
    monitoring, files = K8S / "components/monitoring", K8S / "chart/files"
    return {
        monitoring / "prometheus-rule.yaml": _made(ALERTS) + RULE + textwrap.indent(alerts, "  "),
        monitoring / "grafana-dashboard.yaml": _made(DASHBOARD)
        + CONFIG_MAP
        + textwrap.indent(dashboard, "    "),
        files / ALERTS.name: alerts,
        files / DASHBOARD.name: dashboard,
        SCHEMA: _schema(),
    }


def write() -> None:
    """Write them all."""
    for path, text in embeds().items():
        path.write_text(text, encoding="utf-8")


def _schema() -> str:
    """Return the schema with the settings that there are; secrets belong into Secrets."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    names = sorted(key for key, setting in keys().items() if not setting.is_secret)
    schema["properties"]["settings"]["propertyNames"] = {"enum": names}
    return json.dumps(schema, indent=2) + "\n"


def _made(source: Path) -> str:
    return MADE.format(source=source.relative_to(K8S.parent))


if __name__ == "__main__":
    write()
