"""What people do with checkpoints of their own: unlearning without a study."""
