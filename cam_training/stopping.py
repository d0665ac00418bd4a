"""How a training is asked to stop."""

import signal

from cam_base.terminal import INTERRUPTED, TERMINATED, TERMINATING

STATUS = {signal.SIGINT: INTERRUPTED} | dict.fromkeys(TERMINATING, TERMINATED)


class StopAfterStep:
    """Ctrl-C or SIGTERM asks to stop after the present step; a second one stops at once.

    status  None until then; the exit status that belongs to the signal
    """

    def __enter__(self):
        self.status = None
        self.before = {number: signal.signal(number, self._ask) for number in STATUS}
        return self

    def _ask(self, number, _):
        self.status = STATUS[number]
        self.__exit__()

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)
