"""Large pages of memory for a process that trains."""

import os
import platform
import sys

SETTING = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def use_large_pages() -> None:
    """Starts this command again, if need be, with memory in pages of 2 MB where Linux has them.

    A step's temporaries go back to the system at its end, and the next step gets them anew, page by
    page: 36,000 of 4 kB for infogan:mnist,document, whose step takes 367 ms on two cores with them
    and 302 with pages of 2 MB. The C library reads the setting only when a process starts. A
    setting of the user's own stays, and so does a program that runs the command within itself.
    """
    words = [*sys.orig_argv[1:], ""]
    module = words[words.index("-m") + 1] if "-m" in words else ""
    ours = module in ("jaxgan", "jaxgan.main") or os.path.basename(words[0]) == "jaxgan"
    if not ours or SETTING.keys() <= os.environ.keys() or platform.libc_ver()[0] != "glibc":
        return
    os.environ.update(SETTING)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
