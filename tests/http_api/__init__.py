"""The whole HTTP API asked what nobody thought of: schemathesis makes requests from the OpenAPI document."""
