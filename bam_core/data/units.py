"""Numbers with what they count: $1,234, 1.234 €, 45 %, 12 kg."""

import re
from collections.abc import Iterable
from typing import NamedTuple

_NUMBER = r"[+\-\u2212]?\d[\d.,'\u2019 \u00a0\u2009\u202f]*(?:[eE][+-]?\d+)?"
_CURRENCY = r"(?:[A-Z]{0,3}[$€£¥₹₽₩₺₫₪฿]|[A-Z]{3}(?=[ \u00a0]))"
_WITH_UNIT = re.compile(
    rf"(?P<sign>[+\-\u2212]?)(?P<before>{_CURRENCY})?[ \u00a0\u202f]*(?P<number>{_NUMBER}?)[ \u00a0\u202f]*"
    r"(?P<after>[^\W\d_][^\d.,:;|]{0,7}|[$€£¥₹₽₩₺₫₪฿%‰°µ][^\d.,:;|]{0,7})?"
)


class Unit(NamedTuple):
    """What stands before and after a number."""

    before: str = ""
    after: str = ""

    @property
    def is_currency(self) -> bool:
        """Whether it is one."""
        return bool(self.before) or any(mark in self.after for mark in "$€£¥₹₽₩₺₫₪฿")


def common_unit(texts: Iterable[str]) -> Unit | None:
    """What all texts have before or after their number; None if some have none, or another one.

    Letters in front of a number make it a code, unless they are a currency, and so do leading zeros.

    Example:
        >>> common_unit(["$1,234", "-$5"]), common_unit(["45 %", "7.5 %"]), common_unit(["1.234 €", "99 €"])
        (Unit(before='$', after=''), Unit(before='', after='%'), Unit(before='', after='€'))
        >>> common_unit(["5 kg", "5 lb"]), common_unit(["Q1", "Q2"]), common_unit(["1st", "2nd"])
        (None, None, None)
    """
    units = set()
    for text in texts:
        found = _WITH_UNIT.fullmatch(text)
        if found is None or not (found["before"] or found["after"]) or re.match(r"0\d", found["number"]):
            return None
        units.add(Unit(found["before"] or "", (found["after"] or "").strip()))
        if len(units) > 1:
            return None
    return units.pop() if units else None


def without_unit(text: str, unit: Unit) -> str:
    """The number of a text that has this unit; other texts as they are.

    Example:
        >>> without_unit("-$1,234", Unit("$")), without_unit("45 %", Unit(after="%")), without_unit("12", Unit("$"))
        ('-1,234', '45', '12')
    """
    found = _WITH_UNIT.fullmatch(text)
    if found is None or Unit(found["before"] or "", (found["after"] or "").strip()) != unit:
        return text
    return found["sign"] + found["number"].strip()
