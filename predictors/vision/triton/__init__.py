"""The Triton server behind the vision predictor: its client, its models and their life."""
