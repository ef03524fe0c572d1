"""Foundation that every package builds on: user errors, atomic files, strict settings, progress bars."""
