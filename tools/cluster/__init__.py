"""A real Kubernetes with Knative and KServe on this machine, without containers around it: ``python -m tools.cluster``.

``platform`` (what is installed) → ``kubernetes`` (control plane, node) → ``software`` (what is built, at which version)
→ ``machine`` (what it takes of this machine). Tests of it are in ``tests/cluster``.
"""
