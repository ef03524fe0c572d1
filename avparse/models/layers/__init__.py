"""Layers that several encoders, decoders and parsers share."""
