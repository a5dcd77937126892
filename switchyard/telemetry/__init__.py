"""Metrics, logs and traces of every Switchyard process; imports no other package of the project."""
