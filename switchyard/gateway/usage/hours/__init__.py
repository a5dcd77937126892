"""Prices by the hour of an accelerator: hours that replicas existed, shared by the calls to their models."""
