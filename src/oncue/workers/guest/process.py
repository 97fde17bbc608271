"""What the kernel is asked for: to end with the parent, to adopt orphans, to set limits."""

import ctypes
import os
import resource
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
FILES_MAX = 1_024  # as on Lambda
RESERVE_BYTES = 16 * 1024 * 1024  # to report with, once the function's own memory is used up

_prctl = ctypes.CDLL(None, use_errno=True).prctl
_prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong]


def _ask(option: int, value: int) -> None:
    if _prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def end_with(parent: int, signal_number: int) -> None:
    """Be sent the signal when the parent dies, also when it died before this was asked for."""
    _ask(PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:
        os._exit(0)


def adopt_orphans() -> None:
    """Whatever a descendant leaves behind becomes a child of this process instead of init's."""
    _ask(PR_SET_CHILD_SUBREAPER, 1)


def gain_no_privileges() -> None:
    _ask(PR_SET_NO_NEW_PRIVS, 1)


def limit(memory_mb: int) -> None:
    """At most `memory_mb` of private writable memory beyond what the zygote handed down (RLIMIT_DATA), 1,024
    files, no core. Shared mappings and the memory of child processes do not count: that needs a cgroup."""
    _limit(resource.RLIMIT_NOFILE, FILES_MAX)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_DATA, _data_bytes() + memory_mb * 1024 * 1024, RESERVE_BYTES)


def use_reserve() -> None:
    """After a MemoryError: let there be room for its traceback."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _limit(kind: int, value: int, reserve: int = 0) -> None:
    hard = resource.getrlimit(kind)[1]
    wanted = value + reserve
    hard = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (min(value, hard), hard))


def _data_bytes() -> int:
    """VmData, which is what the kernel compares with RLIMIT_DATA."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status names no VmData")


def memory_kb() -> int:
    """The most memory that this process has had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def children() -> list[int]:
    """The processes whose parent is this (single-threaded) process, adopted ones included."""
    try:
        return [int(pid) for pid in Path("/proc/thread-self/children").read_text().split()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_child(pid)]  # noqa: PTH208


def _is_child(pid: int) -> bool:
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return False
    return int(parent) == os.getpid() and state != "Z"
