"""Guests: start them, show them to clients, end them, adopt them. How this package works:

One VM, one core, one actor
    `core/desktop.py` is the core: all that is known and decided about one VM. It takes a message
    and the time, changes its own state, and returns effects. It has no loop, clock or I/O, so
    a recorded run can be replayed (tests/unit/vm/replay.py). `core/messages.py` lists every message
    that it can get, `core/effects.py` everything that it can ask for.
    `guest/actor.py` is the shell around it: a mailbox and turns. `fleet.py` finds or makes the
    actor of a VM and posts requests to it.

What a turn is
    The actor takes one message from its mailbox, hands it to the core, and carries out the effects
    in their order. Turns of one VM never overlap; messages are handled in the order in which they
    were posted. If the core or an effect fails by a mistake in the program, the other effects are
    carried out all the same, and the same turn ends the guest (`TurnFailed`): a guest that nobody
    keeps track of would hold memory, an address and mounts for ever.

What may be awaited, and where
    In a turn: nothing, except the driver's `signal_display` for `HangUp`. The core decides on it
    because the display is suspended, and SIGHUP is a toggle, so nothing may happen in between; a
    driver sends the signal before it suspends for the first time (guest_driver.py). The events of
    the log that were posted before the decision have been handled by then. core/display.py tells
    when SIGHUP is safe.
    Everything else that takes time runs in tasks of the actor: the bring-up, the teardown, the
    session script, timers, waits for processes. A task posts how it ended and changes nothing of
    the core's.

Who owns which state, and who may write it
    core (`Desktop`, with `Display`, `Clients`, `Timers`): written by `Desktop.handle`, in a turn.
        Others may read it at any time, since a turn changes it without a pause.
    GuestResources (ids, port, root, process): what exists on the host of one start. Written by its
        bring-up until that has ended, then by its teardown, which waits for that; the session
        script's runs note a digest and durations. The actor makes it on `BringUp` or at adoption,
        and drops it on `ForgetGuest`. Everybody reads it; the core never does.
    requests (futures, progress, streams of clients): the actor's. The core knows their numbers.
    the row in the database: the core says what to write, `guest/row_writer.py` writes the newest
        and retries while the database is away.
    FleetState (start slots, redraw slots, id ranges, state files): shared by all VMs. Start slots
        are held by bring-ups, redraw slots by displays that resume.

Stale messages
    Each bring-up has a number, its start. Messages of its tasks carry it, and the core ignores
    those of an earlier start, and those of a display that is closed. A timer carries a serial, a
    write to the row its number, a request for a redraw slot a serial: only the newest counts.

Folders
    `core/` decides, `guest/` and `display/` carry out: `guest/` for the VM as a whole, `display/`
    for its nxagent alone. `guest/` uses `display/`, never the other way round, and both know the
    core's messages and effects.
    `guest_driver.py` is the port to what runs guests and says what a driver must supply.
    `drivers/` holds those there are, under one contract suite; `driver_table.py` gives the one
    of a guest. What else the package needs of others is in `ports.py`.
"""
