"""The description of the gateway's interface: an OpenAPI document, and a page that shows it."""
