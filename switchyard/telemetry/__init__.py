"""Metrics, logs and traces of every Switchyard process; of the project it imports ``switchyard.settings`` alone."""
