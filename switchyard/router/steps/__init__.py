"""Steps: one call to a service, retried and measured."""
