"""Models whose weights are fine-tuned, merged and negated."""
