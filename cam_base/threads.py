"""Work that goes on while other work waits."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor


def in_order(function, items, workers, ahead):
    """function(item) for each of `items`, in their order, computed by threads.

    workers  how many items are worked on at a time
    ahead    how many results may be under way or waiting besides the one asked for:
             no more items than these are taken, so memory is bounded
    raises   what `function` raises, when its turn comes
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def grouped(items, count):
    """Lists of `count` items each; the last may be shorter."""
    group = []
    for item in items:
        group.append(item)
        if len(group) == count:
            yield group
            group = []
    if group:
        yield group
