"""Events taken elsewhere: results of ``parse`` and files of other programs, written in formats of other programs."""
