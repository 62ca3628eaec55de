"""Other files' words for what configurations say: names of tensors, keys of metadata."""
