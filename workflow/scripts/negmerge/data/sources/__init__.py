"""Where data sets come from: one file per kind of source, which `prepare` runs by its name.

Each has `read(files, row)`: from the paths of the source's files and the data set's row in
`config/datasets.yaml` to an iterator of (split, label, image), in the source's own order. An image
is a PIL image, or a PNG or JPEG file: a member of an archive, which errors then name, or its bytes.
A source of questions (`settings.sources.OF_QUESTIONS`) gives `data.questions.Question`s instead.
Where an archive gives the images in another order, a fourth entry, a tuple, says by what they are
sorted. torchvision's readers need torch, and archives that are unpacked on disk; these stream
verified files. `negmerge.settings.sources` has what each source needs of a row.
"""
