"""The application: command line, report page, exports."""
