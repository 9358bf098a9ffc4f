"""One file a term; recipes find them by the name of the file, and each says `TERM = ...` what it offers."""
