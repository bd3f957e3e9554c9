"""``python -m f1rl doctor``: what works on this machine, and what to do about the rest.

A check is a function that returns a :class:`~f1rl.tools.doctor.result.Result`. Whatever loads a driver or a large
library does so in a child process with a deadline (:mod:`f1rl.tools.doctor.child`), because it may crash or hang.
"""
