"""Membership of a farm: SWIM with suspicion and Lifeguard; no I/O.

`machine.Swim` is the entry point: it takes datagrams, stream messages and timers, and returns
effects.
"""
