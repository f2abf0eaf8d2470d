"""`python -m minigrad.pack`: a folder of images as shards, tar files that are read one after the other."""
