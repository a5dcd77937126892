"""Builds the programs of `switchyard up --observe` that no package manager of ours has."""
