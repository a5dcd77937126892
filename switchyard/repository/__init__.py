"""The model repository's folders: where their weights come from; knows no predictor and loads no model."""
