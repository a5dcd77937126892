"""Writes what is made of SLOs and alerts: Prometheus' rules, PrometheusRule objects, the page of alerts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dashboards.alerting import burn, cluster, engines, gateway, models, monitoring, slos
from dashboards.alerting.reference import page
from dashboards.alerting.rules import Alert, Group, rule_file

RULES = Path("dashboards/rules")
OBJECTS = Path("dashboards/prometheusrule")
REFERENCE = Path("docs/reference/alerts.md")
_HEAD = "# Written by python -m dashboards from dashboards/slos.yaml and dashboards/alerting: edit those.\n"


def groups(promised: slos.Slos) -> Mapping[str, Sequence[Group]]:
    """Return every group of rules by the name of its file."""
    return {
        "slo": burn.groups(promised),
        "gateway": gateway.GROUPS,
        "models": models.GROUPS,
        "engines": engines.GROUPS,
        "cluster": cluster.GROUPS,
        "monitoring": monitoring.GROUPS,
    }


def alerts(promised: slos.Slos) -> list[Alert]:
    """Return every alert, in the order of the files."""
    return [alert for of_file in groups(promised).values() for group in of_file for alert in group.alerts]


def generated() -> dict[Path, str]:
    """Return the text of every file, by its path in the repository.

    Raises:
        ValueError: the file of SLOs is not valid.
    """
    promised = slos.read()
    files = {}
    for name, of_file in groups(promised).items():
        rules = rule_file(of_file, promised.runbooks)
        files[RULES / f"{name}.yaml"] = _HEAD + _yaml(rules)
        files[OBJECTS / f"{name}.yaml"] = _HEAD + _yaml(_object(name, rules))
    files[OBJECTS / "kustomization.yaml"] = _HEAD + _yaml(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"{name}.yaml" for name in groups(promised)],
        }
    )
    files[REFERENCE] = page(groups(promised))
    return files


def _object(name: str, rules: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": f"switchyard-{name}"},
        "spec": rules,
    }


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
