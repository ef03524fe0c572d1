"""CLIP and CLAP: networks whose embeddings of media and of text can be compared."""
