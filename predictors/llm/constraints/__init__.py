"""What a request holds the text of a language model to: JSON schemas, expressions, grammars, arguments of tools."""
