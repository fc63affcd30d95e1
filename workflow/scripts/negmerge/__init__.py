"""NegMerge: merging pools of fine-tuned models by sign consensus, for machine unlearning."""

__version__ = "0.1.0"
