"""The parts that predictors share: server, settings, admission, preloading, start phases; knows no model."""
