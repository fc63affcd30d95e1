"""What a study will take, before it runs: jobs, hours, downloads and disk, from stated assumptions."""
