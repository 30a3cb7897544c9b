"""CLEP-DG (arXiv 2507.04048), stages 2 and 3 after PromptStyler: acoustic contexts and a classifier from text alone."""
