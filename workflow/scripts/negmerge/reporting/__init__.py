"""Tables, figures and the report. Nothing here imports torch, so that these steps start fast."""
