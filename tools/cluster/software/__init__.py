"""What the cluster is made of: versions, Go programs and their images."""
