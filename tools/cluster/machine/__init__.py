"""What the cluster takes of this machine: folders, addresses, packages, processes, network."""
