"""What an overlay says of a platform that has tenants, and a webhook of budgets that nobody hears."""

import json
import os
from pathlib import Path
from typing import Any

from tests.live.processes import ROOT
from tests.ports import free_port

_OVERLAY = """
components: [{kustomize}/components/tenants]
transformers: [{kustomize}/cluster-scoped]
namespace: switchyard-local
configMapGenerator:
  - name: gateway-settings
    namespace: switchyard-local
    behavior: merge
    literals:
      - BUDGET_WEBHOOK_URL=http://127.0.0.1:{closed}/budgets
      - BUDGET_WEBHOOK_SECRET_FILE=/etc/switchyard/webhook-secret
secretGenerator:
  - name: tenants
    namespace: switchyard-local
    files: [tenants.yaml, webhook-secret]
    options: {{disableNameSuffixHash: true}}
"""


def add_tenants(overlay: Path, content: dict[str, Any]) -> None:
    """Give ``overlay`` the tenants that ``content`` lists."""
    write_tenants(overlay, content)
    (overlay / "webhook-secret").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    kustomize = os.path.relpath(ROOT / "kustomize", overlay.resolve())
    added = _OVERLAY.format(kustomize=kustomize, closed=free_port())
    file = overlay / "kustomization.yaml"
    file.write_text(file.read_text().replace("\npatches:", f"\n{added}patches:"))


def write_tenants(overlay: Path, content: dict[str, Any]) -> None:
    """Replace the tenants of ``overlay``."""
    (overlay / "tenants.yaml").write_text(json.dumps(content))
