"""How the gateway and the graphs' router compare with other proxies."""
