"""What only several values of a stack file can say together, on Google Cloud. No SDK."""
