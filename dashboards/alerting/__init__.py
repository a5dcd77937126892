"""Rules for Prometheus: what is recorded of SLOs, and which alerts there are."""
