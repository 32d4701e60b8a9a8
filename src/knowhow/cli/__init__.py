"""The command line: a thin door that calls Workspace and prints what comes back."""
