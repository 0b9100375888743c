"""Writeback of a file during its download, so that its end and the kernel's limit find little left to write.

At that limit (vm.dirty_ratio) Linux blocks writers, and fsync waits for every page whose writeback has not begun.
"""

import ctypes

STEP = 8 << 20
"""Bytes of one call: few calls, and large requests for the disk."""
_WRITE = 2
"""SYNC_FILE_RANGE_WRITE of linux/fs.h: begin writeback, and do not wait."""
_call = getattr(ctypes.CDLL(None), "sync_file_range", None)  # Linux alone has it
if _call:
    _call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def start_writeback(file: int, start: int, stop: int) -> None:
    """Begin the writeback of every STEP of `file` that ends between the written bytes `start` and `stop`."""
    first, last = start // STEP, stop // STEP
    if _call and first < last:
        # Its result does not matter: if the disk fails, fsync reports it.
        _call(file, first * STEP, (last - first) * STEP, _WRITE)
