"""What `switchyard up --observe` runs beside the platform: Prometheus, Alertmanager, a collector and Jaeger.

The supervisor runs each as it does the gateway, on ports of this machine that `Addresses` keeps together.
"""
