"""What the predictors share: settings, phases, warm-up, drain; knows no model."""
