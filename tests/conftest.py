"""What all tests share."""

from hypothesis import settings

# Machines that run tests are busy: how long an example takes says nothing about the code.
settings.register_profile("switchyard", deadline=None)
settings.register_profile("all", deadline=None, max_examples=1000)  # for `make test-all`: ten times as many
settings.load_profile("switchyard")
