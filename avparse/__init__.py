"""avparse: weakly-supervised audio-visual video parsing.

Which events are heard, which are seen and which are both, second by second, learned from video-level labels alone.
"""

__version__ = "0.1.0"
