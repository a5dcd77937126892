"""The stages that respond: from a model, or from what the gateway itself knows."""
