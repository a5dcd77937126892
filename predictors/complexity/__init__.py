"""How hard a prompt is, and which of two models should therefore answer it; knows no model's engine."""
