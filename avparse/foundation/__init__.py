"""What every layer stands on: errors that name the mend, atomic files, strict settings, progress."""
