"""Media: decoding on one clock, extractors, the extraction pipeline, and the synthesis of small real videos."""
