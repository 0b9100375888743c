"""Has the disk begin to write what a file got, so that it is not all left for the end, or for the kernel's limit.

At that limit (vm.dirty_ratio) Linux stops whoever writes, and fsync waits for all that nobody has begun.
"""

import ctypes

STEP = 8 << 20
"""Bytes to begin with at once: few calls, and requests as large as disks like them."""
_WRITE = 2
"""SYNC_FILE_RANGE_WRITE of linux/fs.h: begin, and wait for nothing."""
_call = getattr(ctypes.CDLL(None), "sync_file_range", None)  # Linux alone has it
if _call:
    _call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def written(file: int, start: int, stop: int) -> None:
    """The bytes from `start` to `stop` were written to `file`: every STEP of it that ends among them is begun with."""
    first, last = start // STEP, stop // STEP
    if _call and first < last:
        # What it answers says nothing that fsync will not: where the disk fails, that call tells.
        _call(file, first * STEP, (last - first) * STEP, _WRITE)
