"""The command line by ``python -m avparse``."""

from avparse.app.cli import main

main()
