"""What k8s/ holds: valid for the API server, and true of the program."""
