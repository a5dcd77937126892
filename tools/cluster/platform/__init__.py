"""What runs on the cluster: Knative with its ingress, KServe, and the dev overlay."""
