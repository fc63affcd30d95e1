"""An independent recomputation of a finished study, from its files on disk.

It takes another path than the project: nothing here imports negmerge, torch or pandas. What is read
are the files below `results/{study}`, by json, csv and safetensors.numpy; what is computed is
computed with numpy, and the membership attack with scikit-learn. Formulas are written anew from the
papers and from docs/, so that a mistake would have to be made twice.

A module for each kind of number: `weights`, `merges`, `choices`, `scores`, `tables`. Each has a
function `check`, which takes a study and yields a `Result` for each comparison.
"""
