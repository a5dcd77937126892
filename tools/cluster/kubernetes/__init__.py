"""Kubernetes itself: certificates, control plane, node, DNS, and kubectl against this cluster only."""
