"""Every metric name and label of the platform.

Label values are bounded by construction: ``model`` is a catalog name (any other is counted as ``unknown``),
``tenant`` and ``issuer`` come from configuration, ``code`` and ``outcome`` from enumerations. Never free text. Each
kind of process has a module, and imports that one alone.
"""
