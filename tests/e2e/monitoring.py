"""A real Prometheus in the cluster, with the configuration that prometheus-operator would generate."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.e2e.asset import send
from tests.e2e.cluster import CHART, Manifest, Release

PORT: Final = 9091
RULES: Final = CHART / "files" / "alerts.yaml"


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server, reached through a port-forward."""

    port: int

    def get(self, path: str) -> Any:  # noqa: ANN401 -- JSON
        """Return the data of an API response."""
        response = send("GET", f"http://127.0.0.1:{self.port}/api/v1/{path}").json()
        assert response["status"] == "success", response
        return response["data"]

    def values(self, query: str) -> list[float]:
        """Return the values of a query."""
        return [float(found["value"][1]) for found in self.get(f"query?query={query}")["result"]]

    def firing(self) -> set[str]:
        """Return the names of the firing alerts."""
        return {alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"}


@contextmanager
def scraping(release: Release, image: str, overdue_seconds: int) -> Iterator[Prometheus]:
    """Run a Prometheus with the chart's rules; its alert on overdue assets fires after `overdue_seconds`.

    It discovers endpoints by the labels of the chart's ServiceMonitor, and labels series as prometheus-operator does.
    """
    name = f"prometheus-{secrets.token_hex(3)}"
    cluster, namespace = release.cluster, release.namespace
    manifests = [*_rbac(name), _configuration(name, release, overdue_seconds), _pod(name, image)]
    cluster.kubectl(
        "-n", namespace, "apply", "-f", "-", stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": manifests})
    )
    try:
        cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=90s")
        with cluster.forward(namespace, f"pod/{name}", PORT) as port:
            yield Prometheus(port)
    finally:
        kinds = ("pod", "configmap", "rolebinding", "role", "serviceaccount")
        cluster.kubectl("-n", namespace, "delete", "--wait=false", *(f"{kind}/{name}" for kind in kinds))


def _rules(release: Release, overdue_seconds: int) -> str:
    """Return the chart's rules for this release, with a shorter limit for overdue assets."""
    text = RULES.read_text()
    names = {"NAMESPACE": release.namespace, "SERVICE": release.fullname, "CRONJOB": release.cronjob}
    for word, value in names.items():
        text = text.replace(f"RELEASE_{word}", value)
    rules = yaml.safe_load(text)
    [overdue] = [
        rule
        for group in rules["groups"]
        for rule in group["rules"]
        if rule.get("alert") == "AssetuploaderOldestOverdue"
    ]
    assert overdue["expr"].endswith("> 300")
    overdue |= {"expr": overdue["expr"].removesuffix("300") + str(overdue_seconds), "for": "2s"}
    return yaml.safe_dump(rules)


def _configuration(name: str, release: Release, overdue_seconds: int) -> Manifest:
    labels = {"name": "assetuploader", "instance": release.name, "component": "service"}
    kept = [
        {
            "source_labels": [f"__meta_kubernetes_service_label_app_kubernetes_io_{label}"],
            "regex": value,
            "action": "keep",
        }
        for label, value in labels.items()
    ]
    named = [
        {"source_labels": [f"__meta_kubernetes_{source}"], "target_label": target}
        for source, target in (("namespace", "namespace"), ("service_name", "job"), ("pod_name", "pod"))
    ]
    port = {"source_labels": ["__meta_kubernetes_endpoint_port_name"], "regex": "metrics", "action": "keep"}
    configuration = {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"},
        "rule_files": ["/etc/prometheus-e2e/rules.yaml"],
        "scrape_configs": [
            {
                "job_name": "service-monitor",
                "kubernetes_sd_configs": [{"role": "endpoints", "namespaces": {"names": [release.namespace]}}],
                "relabel_configs": [*kept, port, *named],
            }
        ],
    }
    data = {"prometheus.yaml": yaml.safe_dump(configuration), "rules.yaml": _rules(release, overdue_seconds)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _rbac(name: str) -> list[Manifest]:
    group = "rbac.authorization.k8s.io"
    read = {"apiGroups": [""], "resources": ["endpoints", "services", "pods"], "verbs": ["get", "list", "watch"]}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": name}, "rules": [read]},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name}],
        },
    ]


def _pod(name: str, image: str) -> Manifest:
    arguments = [
        "--config.file=/etc/prometheus-e2e/prometheus.yaml",
        "--storage.tsdb.path=/data",
        f"--web.listen-address=:{PORT}",
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "serviceAccountName": name,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "prometheus",
                    "image": image,
                    "args": arguments,
                    "readinessProbe": {"httpGet": {"path": "/-/ready", "port": PORT}, "periodSeconds": 1},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [
                        {"name": "configuration", "mountPath": "/etc/prometheus-e2e"},
                        {"name": "data", "mountPath": "/data"},
                    ],
                }
            ],
            "volumes": [{"name": "configuration", "configMap": {"name": name}}, {"name": "data", "emptyDir": {}}],
        },
    }
