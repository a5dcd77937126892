"""Training of the classifier: labels and fitting; needs the development packages."""
