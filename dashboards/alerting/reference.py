"""The page of all alerts, written from their source."""

from collections.abc import Mapping, Sequence

from dashboards.alerting.rules import Alert, Group

_HEAD = """# Alerts

Written by `python -m dashboards` from `dashboards/slos.yaml` and `dashboards/alerting`; a test compares. A *page* wakes
somebody, a *ticket* waits for the morning. *Symptoms* are what callers or operators notice, *causes* what explains
them, *monitoring* what would otherwise fail in silence. Each name leads to its runbook; `dashboards/alertmanager.yaml`
says who is told, and which alert keeps which others quiet.
"""
_TITLES = {
    "slo": "SLOs",
    "gateway": "Gateway",
    "models": "Models and graphs",
    "engines": "Engines and GPUs",
    "cluster": "Cluster and store",
    "monitoring": "Processes and monitoring",
}
_TABLE = "| alert | severity | kind | fires when | for |\n|---|---|---|---|---|\n"


def page(groups: Mapping[str, Sequence[Group]]) -> str:
    """Return the page of alerts."""
    sections = []
    for name, of_file in groups.items():
        rows = [_row(alert) for group in of_file for alert in group.alerts]
        sections.append(f"\n## {_TITLES[name]}: `dashboards/rules/{name}.yaml`\n\n{_TABLE}{''.join(rows)}")
    return _HEAD + "".join(sections)


def _row(alert: Alert) -> str:
    window = alert.labels.get("window")
    severity = f"{alert.severity}, `{window}`" if window else alert.severity
    link = f"[{alert.name}](../runbooks/{alert.name}.md)"
    return f"| {link} | {severity} | {alert.kind} | {alert.means} | {alert.after or 'at once'} |\n"
