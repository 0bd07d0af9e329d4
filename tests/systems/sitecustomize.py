# SPDX-License-Identifier: BSD-3-Clause
"""A Python as other systems have it: run by every process that has this folder's path.

Takes away what Windows or macOS lacks in `os` and `signal` and what our code has no
business to need, and makes `os.fsync` as strict as that of Windows. What Python's own
multiprocessing needs on this system (waitpid, kill) stays.
"""

import multiprocessing
import os
import signal
import sys
from multiprocessing import resource_tracker

MISSING_MODULES = ("resource", "pwd", "grp", "termios", "tty", "pty", "syslog")
MISSING = {
    os: (
        *("sched_getaffinity", "sched_setaffinity", "sched_getscheduler", "nice"),
        *("register_at_fork", "fork", "forkpty", "setsid", "getsid", "getpgid"),
        *("killpg", "setpgid", "getpgrp", "tcgetpgrp", "getuid", "geteuid", "getgid"),
        *("getegid", "getgroups", "getloadavg", "mkfifo", "mknod", "chown", "lchown"),
        *("fchmod", "fchown", "chroot", "sysconf", "statvfs", "fstatvfs"),
        *("posix_fadvise", "posix_fallocate", "sendfile", "fdatasync", "sync"),
        *("memfd_create", "wait3", "wait4", "O_DIRECTORY"),
    ),
    signal: (
        *("pthread_sigmask", "pthread_kill", "sigwait", "sigpending", "alarm"),
        *("setitimer", "getitimer", "SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1"),
        *("SIGUSR2", "SIGCHLD", "SIGQUIT", "SIGXFSZ"),
    ),
}

if os.environ.get("LOIHI_UNET_TEST_SYSTEM") == "other":
    import fcntl  # asked what a descriptor may do, then taken away

    import torch  # noqa: F401  # which goes by sys.platform, before it is misled

    _fsync = os.fsync

    def fsync(descriptor):
        """Refuse what Windows refuses: a folder, a descriptor that only reads."""
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(9, "Bad file descriptor")
        return _fsync(number)

    os.fsync = fsync
    for module, names in MISSING.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for name in ("fcntl", *MISSING_MODULES):
        sys.modules[name] = None  # an import of it raises ModuleNotFoundError
    # Python's own, which may have been imported with torch, and found it.
    resource_tracker._HAVE_SIGMASK = False
    multiprocessing.set_start_method("spawn", force=True)
