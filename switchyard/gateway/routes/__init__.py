"""Every route: the table, how a request finds its row, short forms and the OpenAPI document."""
