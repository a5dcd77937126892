"""What seeing what the platform does costs."""
