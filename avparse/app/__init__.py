"""The application: functions behind the command line, the report page, charts and exports."""
