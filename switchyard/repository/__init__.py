"""The folders of the model repository and where their weights come from; knows no predictor and loads no model."""
