"""What is done again and again while something else goes on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeatedly(act: Callable[[threading.Event], None], pause: float) -> Iterator[None]:
    """Act while the block lasts, each time ``pause`` seconds after the last; what acts waits for the event alone."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(pause):
            act(ended)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
