"""The kinds of tables, a file each; `reporting.kinds.TableKind` says what such a file defines."""
