"""How the classifier is made: labels, fitting, and the command that does it; needs the development packages."""
