"""Teachers: frozen networks that embed the audio or the pictures of a store's videos, listed by name."""
