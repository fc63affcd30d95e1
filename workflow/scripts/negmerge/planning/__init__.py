"""What jobs ask for, and what a study will take before it runs; with stated assumptions."""
