"""Batches: the requests of a file, done behind those that clients wait for, by OpenAI's ``/v1/batches``."""
