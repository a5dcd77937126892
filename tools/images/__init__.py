"""Container images built without a container engine; the ``Dockerfile`` describes the same ones for docker."""
