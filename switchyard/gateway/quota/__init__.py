"""What calls may take: from identity and call to claims on the ledger, and from its levels to headers and errors."""
