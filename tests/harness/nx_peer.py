"""What a guest's side of an NX stream may say: the words that matter to an attacker.

Numbers are those of nxcomp's T_proxy_code; a control message is a zero, the code and one byte.
"""

from typing import Final

GREETING: Final = (
    b"NXPROXY-3.5.0-3.5.99 link=LAN,pack=adaptive-9,cache=0,render=1,taint=0,type=default,"
    b"images=0,delta=0,stream=0,data=0 cachelist=none "
)
CHANNELS: Final = {"cups": 1, "smb": 3, "media": 4, "http": 26, "font": 29, "slave": 30}
NEW_X: Final = 0
SWITCH: Final = 5
DROP: Final = 6
ALERT: Final = 10
LOAD: Final = 14
SAVE: Final = 16
STATISTICS: Final = 24
FINISH_LISTENERS: Final = 31


def control(code: int, data: int) -> bytes:
    """A control message."""
    return bytes((0, code, data))


def frame(body: bytes, told: int | None = None) -> bytes:
    """Data for the channel that was switched to last; `told` is a length that is not true."""
    length = len(body) if told is None else told
    digits = [length & 0x7F]
    while length := length >> 7:
        digits.insert(0, length & 0x7F | 0x80)
    return bytes(digits) + body
