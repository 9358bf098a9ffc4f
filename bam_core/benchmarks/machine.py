"""What a measurement was made on, and how much memory a process holds."""

import math
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def describe_machine(*packages: str) -> dict[str, str]:
    """Processor, threads, load and versions, for the head of a table.

    Args:
        packages: further packages whose versions matter.

    Returns:
        Names and values, in reading order.
    """
    facts = {
        "processor": _processor(),
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()}",
        "load": f"{os.getloadavg()[0]:.1f} runnable tasks in the last minute" if hasattr(os, "getloadavg") else "?",
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    for package in packages:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    extensions = [x for x in ("avx2", "avx512f", "amx_bf16") if x in facts.get("flags", "").split()]
    return f"{facts.get('model name', platform.machine())} ({' '.join(extensions) or platform.machine()})"


def reset_peak() -> float:
    """Let `peak_resident` count from now on, where the system can; the resident set in MiB."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return peak_resident()


def peak_resident() -> float:
    """Largest resident set in MiB, of the process or since `reset_peak`; NaN on Windows, which does not say."""
    try:
        return _status("VmHWM")
    except OSError:
        if sys.platform == "win32":
            return math.nan
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith(name + ":"))
