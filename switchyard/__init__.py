"""Switchyard's platform services and its command; see docs/concepts/architecture.md."""
