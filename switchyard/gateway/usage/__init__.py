"""What calls used and cost: read from responses, priced, written to the ledger, added up for those who ask."""
