"""Names and units of the signals of WFDB records."""

import re
from collections import Counter
from collections.abc import Sequence

from bam_core.errors import DataError

Lead = str | Sequence[str]  # a name, or alternatives in order of preference

_PREFIX = re.compile(r"(mdc[_ ]ecg[_ ]lead|ecg[_ ]+lead|lead|ecg)[_ -]+", re.IGNORECASE)
_STANDARD = re.compile(r"(i{1,3}|av[rlf]|v\d{0,2}r?|ml(i{1,3}|v\d)|mcl\d|d[123]|c[1-6]|vx|vy|vz)", re.IGNORECASE)
_OTHER = re.compile(
    r"(resp|pleth|ppg|abp|art|pap|cvp|icp|nibp|bp|p\d|spo2|sao2|so2|o2sat|osat|e?t?co2|eeg|emg|eog|eda|gsr|temp|acc|gyr|"
    r"pulse|hr|flow|airflow|thor|abdo?|chest|sound|pcg|scg|nasal|body|snore|position|light|marker|stim|ecgclean)",
    re.IGNORECASE,
)
MILLIVOLTS = {"mv": 1.0, "millivolt": 1.0, "uv": 1e-3, "microvolt": 1e-3, "nv": 1e-6, "v": 1e3, "volt": 1e3}
"""Unit in lower case -> millivolts."""


def lead_names(names: Sequence[str | None]) -> list[str]:
    """Names without blanks and commas at their ends or a prefix such as "Lead"; a name that comes again gets a number.

    Example:
        >>> lead_names(["II,", "Lead V1", "ECG", "ECG", None])
        ['II', 'V1', 'ECG', 'ECG 2', 'signal 4']
    """
    seen: Counter[str] = Counter()
    found = []
    for place, name in enumerate(names):
        plain = _plain(name or "") or f"signal {place}"
        seen[plain.casefold()] += 1
        count = seen[plain.casefold()]
        found.append(plain if count == 1 else f"{plain} {count}")
    return found


def is_ecg(name: str, unit: str | None) -> bool:
    """Whether a signal may be a lead, by its name and unit.

    Example:
        >>> is_ecg("II", "mV"), is_ecg("RESP", "mV"), is_ecg("V", "mmHg")
        (True, False, False)
    """
    word = re.split(r"[\W_\d]", name, maxsplit=1)[0]
    return not (_OTHER.fullmatch(name) or _OTHER.fullmatch(word)) and _key(unit) in MILLIVOLTS


def to_millivolts(name: str, unit: str | None) -> float:
    """What to multiply a signal with.

    Raises:
        DataError: the unit is no voltage.

    Example:
        >>> to_millivolts("II", "uV")
        0.001
    """
    if _key(unit) not in MILLIVOLTS:
        raise DataError(f"lead {name} is given in {unit!r}; a voltage is expected: V, mV or uV.")
    return MILLIVOLTS[_key(unit)]


def pick_leads(available: Sequence[str], wanted: Sequence[Lead]) -> list[int | None]:
    """Position of every wanted lead, or None; names are compared without case, and as `lead_names` reads them.

    Example:
        >>> pick_leads(["V5", "mlii"], [["II", "MLII"], "V1"])
        [1, None]
    """
    position = {name.casefold(): i for i, name in reversed(list(enumerate(available)))}
    picked = []
    for lead in wanted:
        names = [lead] if isinstance(lead, str) else lead
        keys = [key for name in names for key in (name.casefold(), _plain(name).casefold())]
        picked.append(next((position[key] for key in keys if key in position), None))
    return picked


def lead_title(lead: Lead) -> str:
    """A lead and its alternatives, for messages."""
    return lead if isinstance(lead, str) else " or ".join(lead)


def _plain(name: str) -> str:
    plain = name.strip().strip(",;:").strip()
    short = _PREFIX.sub("", plain, count=1)
    return short if _STANDARD.fullmatch(short) else plain


def _key(unit: str | None) -> str:
    return "mv" if not unit else unit.strip().casefold().replace("\u00b5", "u").replace("\u03bc", "u").rstrip("s")
