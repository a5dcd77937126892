"""What the tier decision wins and costs."""
