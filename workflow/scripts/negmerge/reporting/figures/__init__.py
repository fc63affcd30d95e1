"""The kinds of figures, a file each; `reporting.kinds.FigureKind` says what such a file defines."""
