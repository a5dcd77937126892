"""Every route: the table, how a request finds its row, and short forms."""
