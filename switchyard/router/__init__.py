"""The router of an InferenceGraph: KServe's contract, streamed."""
