"""What a process that reads strangers' files may still do: compute, read that file, answer. The kernel holds it to that.

Three layers, each of which works without the others and without privileges: resource limits, Landlock (no files by name), and
seccomp (no network, no processes, no writing). See docs/security.md.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import platform
import resource
import stat
import struct
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import app

# 30 s of the widest recording we take (8 channels at 192 kHz) are 184 MB as float32, and are copied twice at most.
_ADDRESS_SPACE_BYTES = 2 * 1024**3
_OPEN_FILES = 32

_libc = ctypes.CDLL(None, use_errno=True)


def isolate(readable: Sequence[int]) -> list[str]:
    """Give up everything that decoding does not need, for good.

    ``readable``: open files that may be opened again by their name below /proc/self/fd. Returns the layers that this kernel
    does not offer; the resource limits always hold.
    """
    limit_resources()
    _never_gain_privileges()
    layers: dict[str, Callable[[], None]] = {
        "landlock": lambda: _forbid_files(readable),
        "seccomp": _forbid_system_calls,
    }
    return [name for name, forbid in layers.items() if not _offered(forbid)]


def _offered(forbid: Callable[[], None]) -> bool:
    try:
        forbid()
    except OSError:
        return False
    return True


# --- resource limits


def limit_resources() -> None:
    """No big memory, no writing to files, no core dumps."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_cpu(seconds: int) -> None:
    """Allow that much CPU time from now on; the kernel ends the process beyond it."""
    used_s = math.ceil(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used_s + seconds, resource.RLIM_INFINITY))


# --- calls into the kernel


def _system_call(number: int, *arguments: object) -> int:
    """
    Raises:
        OSError: the kernel refuses, or does not know the call.
    """
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _never_gain_privileges() -> None:
    """The kernel takes the filters of an unprivileged process only from one that can't become privileged."""
    no_new_privileges = 38
    _libc.prctl(no_new_privileges, 1, 0, 0, 0)


# --- Landlock (kernel 5.13 and later; linux/landlock.h)

_LANDLOCK_CREATE, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# How many kinds of access to files, and how large a description, each version of the interface knows.
_ACCESS_KINDS = {1: 13, 2: 14, 3: 15, 4: 15}
_LATER_ACCESS_KINDS = 16
_ALL_OF_TCP, _ALL_SCOPES = 0b11, 0b11


def _forbid_files(readable: Sequence[int]) -> None:
    """Nothing can be opened by a name any more but ``readable`` and the code itself, which Python loads as it needs it."""
    version = _system_call(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    handled = (1 << _ACCESS_KINDS.get(version, _LATER_ACCESS_KINDS)) - 1
    wanted = struct.pack("=QQQ", handled, _ALL_OF_TCP, _ALL_SCOPES)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _system_call(_LANDLOCK_CREATE, wanted, ctypes.c_size_t(len(wanted)), ctypes.c_uint32(0))
    for descriptor in readable:
        _allow_reading(ruleset, descriptor)
    for folder in _code_folders():
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        _allow_reading(ruleset, descriptor)
        os.close(descriptor)
    _system_call(_LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)


def _allow_reading(ruleset: int, descriptor: int) -> None:
    access = _READ_FILE | (_READ_DIR if stat.S_ISDIR(os.fstat(descriptor).st_mode) else 0)
    beneath, path_beneath = struct.pack("=Qi", access, descriptor), 1
    try:
        _system_call(_LANDLOCK_ADD_RULE, ctypes.c_int(ruleset), path_beneath, beneath, ctypes.c_uint32(0))
    except OSError as error:
        if error.errno != errno.EBADFD:  # a file without a name, which Landlock leaves alone
            raise


def _code_folders() -> set[Path]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {Path(sysconfig.get_path(name)) for name in names} | {Path(app.__file__).parent}
    return {folder for folder in folders if folder.is_dir()}


# --- seccomp (linux/seccomp.h, linux/bpf_common.h): everything is refused but these calls

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Number on x86_64 and on aarch64 (None: it has no such call).
_ALLOWED: dict[str, tuple[int, int | None]] = {
    "access": (21, None),
    "brk": (12, 214),
    "clock_getres": (229, 114),
    "clock_gettime": (228, 113),
    "close": (3, 57),
    "dup": (32, 23),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "faccessat": (269, 48),
    "fcntl": (72, 25),
    "fstat": (5, 80),
    "futex": (202, 98),
    "getcwd": (79, 17),
    "getdents64": (217, 61),
    "getegid": (108, 177),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getpid": (39, 172),
    "getrandom": (318, 278),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "gettid": (186, 178),
    "gettimeofday": (96, 169),
    "getuid": (102, 174),
    "ioctl": (16, 29),
    "lseek": (8, 62),
    "lstat": (6, None),
    "madvise": (28, 233),
    "membarrier": (324, 283),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "munmap": (11, 215),
    "newfstatat": (262, 79),
    "poll": (7, None),
    "ppoll": (271, 73),
    "pread64": (17, 67),
    "read": (0, 63),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "readv": (19, 65),
    "recvfrom": (45, 207),
    "restart_syscall": (219, 128),
    "rseq": (334, 293),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_getaffinity": (204, 123),
    "sched_yield": (24, 124),
    "sendto": (44, 206),
    "setrlimit": (160, 164),
    "sigaltstack": (131, 132),
    "stat": (4, None),
    "statx": (332, 291),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "write": (1, 64),
}
# Allowed with a condition on one argument.
_OPEN, _OPENAT, _LIMIT, _SIGNAL = (2, None), (257, 56), (302, 261), (234, 131)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}

_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16

# One step: code, steps to skip if true, steps to skip if false, value.
_Step = tuple[int, int, int, int]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def _forbid_system_calls() -> None:
    """
    Raises:
        OSError: the kernel has no seccomp, or we have no table for this architecture.
    """
    if sys.byteorder != "little" or platform.machine() not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, "no table of system calls for this architecture")
    column, architecture, seccomp = _ARCHITECTURES[platform.machine()]
    steps = _filter(column, architecture)
    program = _Program(len(steps), b"".join(struct.pack("=HBBI", *step) for step in steps))
    set_filter, all_threads = 1, 1
    _system_call(seccomp, ctypes.c_uint(set_filter), ctypes.c_uint(all_threads), ctypes.byref(program))


def _filter(column: int, architecture: int) -> list[_Step]:
    steps: list[_Step] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    for numbers in _ALLOWED.values():
        steps += _if_call(numbers[column], [(_RETURN, 0, 0, _ALLOW)])
    for numbers, flags_argument in ((_OPEN, 1), (_OPENAT, 2)):
        steps += _if_call(numbers[column], _unless(_IF_ANY_BIT, _WRITING, flags_argument))
    steps += _if_call(_LIMIT[column], _only(0, argument=0))  # 0: of this process
    steps += _if_call(_SIGNAL[column], _only(os.getpid(), argument=0))
    return [*steps, (_RETURN, 0, 0, _REFUSE)]


def _if_call(number: int | None, then: list[_Step]) -> list[_Step]:
    """``then`` ends with an answer."""
    return [] if number is None else [(_IF_EQUAL, 0, len(then), number), *then]


def _unless(comparison: int, value: int, argument: int) -> list[_Step]:
    """Refuse if the lower half of the argument compares so, else allow."""
    return [
        (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument),
        (comparison, 0, 1, value),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _only(value: int, *, argument: int) -> list[_Step]:
    return [
        (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument),
        (_IF_EQUAL, 1, 0, value),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
