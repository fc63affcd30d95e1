"""What each job of the workflow does around its step: device, log, saved state, records."""
