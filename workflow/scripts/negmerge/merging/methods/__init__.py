"""One file per merge method; the file's name is the method's name."""
