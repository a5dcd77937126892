"""Language models: one vLLM engine behind KServe V2 and the OpenAI API."""

# Local mode imports this once and forks models from there; importing vLLM is most of a start, so starts wait for it.
PRELOAD = ("predictors.llm.engine",)
PRELOAD_WAIT = True
