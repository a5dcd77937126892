"""What a request may cost the engine beyond its JSON: its texts, and the JSON within them."""
