"""The commands of `negmerge`: one file each, whose name is the command's; `cli.py` lists them.

A file has `SUMMARY` and `EPILOG` for its help, `add_arguments(parser)`, and `run(options)`, which
gives the exit status or None for 0. `MISTAKE`, 1 if it is not there, is the status after a
`UserError`. torch takes seconds to load, so it is imported in `run`, and only where it is needed.
"""
