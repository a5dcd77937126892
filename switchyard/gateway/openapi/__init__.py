"""What the gateway says of its own interface: an OpenAPI document and a page that shows it."""
