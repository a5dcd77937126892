"""Language models: one vLLM engine behind KServe V2 and the OpenAI API."""
