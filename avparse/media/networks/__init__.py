"""Networks of other works, written here by hand and filled with their published weights; one file each."""
