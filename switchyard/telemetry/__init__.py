"""Metrics, logs and traces of every Switchyard process; imports nothing else of the project but ``switchyard.settings``."""
