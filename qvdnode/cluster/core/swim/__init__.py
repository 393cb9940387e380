"""Membership of a farm: SWIM with suspicion and Lifeguard; no I/O.

`machine.Swim` is the front of it: datagrams, stream messages and timers in, effects out.
"""
