"""The upstream client: pooled HTTP/1.1 connections, one method that sends a request."""

from switchyard.http.client.limits import Limits, Timeouts
from switchyard.http.client.pool import Client
from switchyard.http.client.response import Response
from switchyard.http.client.upload import Upload

__all__ = ["Client", "Limits", "Response", "Timeouts", "Upload"]
