"""What predictors, their starts and their idle processes cost."""
