"""What a study will take before it runs: jobs, hours, downloads, disk; with stated assumptions."""
