"""The upstream client: pooled HTTP/1.1 connections and one call."""

from switchyard.http.client.limits import Deadlines, Limits
from switchyard.http.client.pool import Client
from switchyard.http.client.response import Response
from switchyard.http.client.upload import Upload

__all__ = ["Client", "Deadlines", "Limits", "Response", "Upload"]
