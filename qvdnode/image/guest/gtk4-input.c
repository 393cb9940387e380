/*
 * Lets GTK 4 programs run on nxagent; preloaded into the programs of a desktop.
 *
 * GTK 4 takes keys and the pointer from XInput 2 alone, and aborts on a display without it. With this
 * GTK 4 is told that the display has it, with one pointer and one keyboard. What it asks of them is
 * asked of the core protocol, whose events are handed to it in the form of XInput 2's.
 *
 * Programs without GTK 4, and all programs on a display that has XInput 2, find everything as it is.
 *
 * Needs no header, so that it can be built where there is nothing but a compiler. The structures are
 * those of Xlib's and libXi's interface to programs, which does not change.
 */

/* --- what the system's headers would say ------------------------------------------------------- */

enum { KeyPress = 2, KeyRelease, ButtonPress, ButtonRelease, MotionNotify, EnterNotify, LeaveNotify,
       FocusIn, FocusOut, GenericEvent = 35 };
enum { BadRequest = 1, AnyModifier = 1 << 15 };
enum { MASTER_POINTER = 1, MASTER_KEYBOARD, SLAVE_POINTER, SLAVE_KEYBOARD };

#define RTLD_LAZY 1
#define RTLD_NOLOAD 4
#define RTLD_NEXT ((void *) -1L)
#define RTLD_DEFAULT ((void *) 0)
#define ANY_XI_MODIFIER (1 << 31)

typedef unsigned long Id;
typedef struct Display Display;

typedef struct {
    int type;
    unsigned long serial;
    int send_event;
    Display *display;
    int extension;
    int evtype;
    unsigned cookie;
    void *data;
} Cookie;

typedef struct { /* of keys, buttons and motion */
    int type;
    unsigned long serial;
    int send_event;
    Display *display;
    Id window, root, child;
    unsigned long time;
    int x, y, root_x, root_y;
    unsigned state;
    unsigned detail; /* key or button */
    int same_screen;
} DeviceEvent;

typedef struct {
    int type;
    unsigned long serial;
    int send_event;
    Display *display;
    Id window, root, child;
    unsigned long time;
    int x, y, root_x, root_y;
    int mode, detail, same_screen, focus;
    unsigned state;
} CrossingEvent;

typedef struct {
    int type;
    unsigned long serial;
    int send_event;
    Display *display;
    Id window;
    int mode, detail;
} FocusEvent;

typedef union {
    int type;
    Cookie cookie;
    DeviceEvent device;
    CrossingEvent crossing;
    FocusEvent focus;
    long room[24];
} Event;

typedef struct { int mask_len; unsigned char *mask; } Bits;
typedef struct { int mask_len; unsigned char *mask; double *values; } Valuators;
typedef struct { int base, latched, locked, effective; } Modifiers;
typedef struct { int deviceid, mask_len; unsigned char *mask; } Wanted;
typedef struct { int modifiers, status; } GrabModifiers;
typedef struct {
    int deviceid;
    char *name;
    int use, attachment, enabled, num_classes;
    void **classes;
} Device;

typedef struct { /* how each event of XInput 2 begins */
    int type;
    unsigned long serial;
    int send_event;
    Display *display;
    int extension, evtype;
    unsigned long time;
    int deviceid, sourceid, detail;
    Id root, event, child;
    double root_x, root_y, event_x, event_y;
} Head;

typedef struct {
    Head head;
    int flags;
    Bits buttons;
    Valuators valuators;
    Modifiers modifiers, group;
} InputDeviceEvent;

typedef struct {
    Head head;
    int mode, focus, same_screen;
    Bits buttons;
    Modifiers modifiers, group;
} InputCrossingEvent;

extern void *dlopen(const char *name, int flags);
extern void *dlsym(void *handle, const char *name);
extern void *calloc(unsigned long count, unsigned long size);
extern void free(void *memory);
extern int strcmp(const char *one, const char *other);

/* --- the functions that these stand before ----------------------------------------------------- */

/* A library that a program loads for itself (Java's) is not among those that come next. */
static void *function(const char *library, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    void *handle;

    if (!found && (handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD)))
        found = dlsym(handle, name);
    return found;
}

#define REAL(library, result, name, ...) ({ \
    static result (*real)(__VA_ARGS__); \
    if (!real) \
        real = function(library, #name); \
    real; })
#define X11(result, name, ...) REAL("libX11.so.6", result, name, __VA_ARGS__)
#define XI(result, name, ...) REAL("libXi.so.6", result, name, __VA_ARGS__)

/* --- who is helped ----------------------------------------------------------------------------- */

enum { OPCODE = 255, NO_OPCODE = -1 }; /* nxagent gives opcodes from 128 on, and has no 127 extensions */

static int opcode = NO_OPCODE; /* of XInput 2, once a program was told that it is there */

static int has_gtk4(void)
{
    return dlsym(RTLD_DEFAULT, "gdk_surface_new_toplevel") != 0;
}

int XQueryExtension(Display *display, const char *name, int *major, int *event, int *error)
{
    int there = X11(int, XQueryExtension, Display *, const char *, int *, int *, int *)(
        display, name, major, event, error);

    if (there || strcmp(name, "XInputExtension") != 0 || !has_gtk4())
        return there;
    *major = opcode = OPCODE;
    *event = *error = 0;
    return 1;
}

int XIQueryVersion(Display *display, int *major, int *minor)
{
    int failed;

    if (opcode == NO_OPCODE) {
        failed = XI(int, XIQueryVersion, Display *, int *, int *)(display, major, minor);
        if (failed != BadRequest || !has_gtk4())
            return failed;
        /* The display has an older XInput, whose number is as good as any. */
        X11(int, XQueryExtension, Display *, const char *, int *, int *, int *)(
            display, "XInputExtension", &opcode, &(int) { 0 }, &(int) { 0 });
    }
    *major = 2;
    *minor = 0;
    return 0;
}

static int helps(void)
{
    return opcode != NO_OPCODE;
}

/* --- devices ----------------------------------------------------------------------------------- */

enum { POINTER = 2, KEYBOARD, MOUSE, KEYS };

static Device devices[] = {
    { POINTER, "Virtual core pointer", MASTER_POINTER, KEYBOARD, 1, 0, 0 },
    { KEYBOARD, "Virtual core keyboard", MASTER_KEYBOARD, POINTER, 1, 0, 0 },
    { MOUSE, "nxagent pointer", SLAVE_POINTER, POINTER, 1, 0, 0 },
    { KEYS, "nxagent keyboard", SLAVE_KEYBOARD, KEYBOARD, 1, 0, 0 },
};

Device *XIQueryDevice(Display *display, int wanted, int *count)
{
    if (!helps())
        return XI(Device *, XIQueryDevice, Display *, int, int *)(display, wanted, count);
    if (wanted >= POINTER && wanted <= KEYS) {
        *count = 1;
        return &devices[wanted - POINTER];
    }
    *count = sizeof devices / sizeof *devices;
    return devices;
}

void XIFreeDeviceInfo(Device *info)
{
    if (!helps())
        XI(void, XIFreeDeviceInfo, Device *)(info);
}

int XIGetProperty(Display *display, int device, Id property, long offset, long length, int remove,
                  Id type, Id *actual, int *format, unsigned long *items, unsigned long *left,
                  unsigned char **data)
{
    if (!helps())
        return XI(int, XIGetProperty, Display *, int, Id, long, long, int, Id, Id *, int *,
                  unsigned long *, unsigned long *, unsigned char **)(
            display, device, property, offset, length, remove, type, actual, format, items, left, data);
    return BadRequest; /* these devices have none */
}

int XIGetClientPointer(Display *display, Id window, int *device)
{
    if (!helps())
        return XI(int, XIGetClientPointer, Display *, Id, int *)(display, window, device);
    *device = POINTER;
    return 1;
}

/* --- which events a window gets ---------------------------------------------------------------- */

static const long core_mask[] = { /* by the event's number, which both protocols share up to motion */
    [KeyPress] = 1 << 0, [KeyRelease] = 1 << 1, [ButtonPress] = 1 << 2, [ButtonRelease] = 1 << 3,
    [MotionNotify] = 1 << 6, [EnterNotify] = 1 << 4, [LeaveNotify] = 1 << 5,
    [FocusIn] = 1 << 21, [FocusOut] = 1 << 21,
};
enum { POINTER_EVENTS = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 };

static long in_core(const Wanted *wanted)
{
    long mask = 0;

    for (int kind = KeyPress; kind <= FocusOut && kind / 8 < wanted->mask_len; kind++)
        if (wanted->mask[kind / 8] & 1 << kind % 8)
            mask |= core_mask[kind];
    return mask;
}

/* Xlib keeps both for each window: one call must not undo what the other has asked for. */
static int core_events, input_events;

static long kept(Display *display, Id window, int kind)
{
    char *mask = 0;

    X11(int, XFindContext, Display *, Id, int, char **)(display, window, kind, &mask);
    return (long) mask;
}

static int keep(Display *display, Id window, int kind, long mask)
{
    X11(int, XSaveContext, Display *, Id, int, const char *)(
        display, window, kind, (const char *) mask);
    return X11(int, XSelectInput, Display *, Id, long)(
        display, window, kept(display, window, core_events) | kept(display, window, input_events));
}

static void begin(void)
{
    if (!core_events) {
        core_events = X11(int, XrmUniqueQuark, void)();
        input_events = X11(int, XrmUniqueQuark, void)();
    }
}

int XSelectInput(Display *display, Id window, long mask)
{
    if (!helps())
        return X11(int, XSelectInput, Display *, Id, long)(display, window, mask);
    begin();
    return keep(display, window, core_events, mask);
}

int XISelectEvents(Display *display, Id window, Wanted *wanted, int count)
{
    long mask = 0;

    if (!helps())
        return XI(int, XISelectEvents, Display *, Id, Wanted *, int)(display, window, wanted, count);
    begin();
    while (count-- > 0)
        mask |= in_core(&wanted[count]);
    if (mask) /* of hierarchies and properties, which do not change here, nothing is told */
        keep(display, window, input_events, mask);
    return 0;
}

int XDestroyWindow(Display *display, Id window)
{
    if (helps() && core_events) {
        X11(int, XDeleteContext, Display *, Id, int)(display, window, core_events);
        X11(int, XDeleteContext, Display *, Id, int)(display, window, input_events);
    }
    return X11(int, XDestroyWindow, Display *, Id)(display, window);
}

/* --- events ------------------------------------------------------------------------------------ */

enum { BUTTONS_AT = 8, BUTTONS = 5, GROUP_AT = 13, GROUPS = 3, MODIFIERS = 0xff, MASK_BYTES = 4 };

static void take_state(unsigned state, Bits *buttons, Modifiers *modifiers, Modifiers *group)
{
    for (int button = 1; button <= BUTTONS; button++)
        if (state & 1 << (BUTTONS_AT + button - 1))
            buttons->mask[button / 8] |= 1 << button % 8;
    modifiers->base = modifiers->effective = state & MODIFIERS;
    group->base = group->effective = state >> GROUP_AT & GROUPS;
}

static void *made(unsigned long size, Bits **buttons, unsigned long at)
{
    char *event = calloc(1, size + MASK_BYTES);

    if (event) {
        *buttons = (Bits *) (event + at);
        **buttons = (Bits) { MASK_BYTES, (unsigned char *) event + size };
    }
    return event;
}

#define OFFSET(type, field) ((unsigned long) &((type *) 0)->field)

static Head *of_device(const DeviceEvent *event)
{
    Bits *buttons;
    InputDeviceEvent *new = made(sizeof *new, &buttons, OFFSET(InputDeviceEvent, buttons));

    if (!new)
        return 0;
    new->valuators.mask = new->buttons.mask; /* of no length */
    take_state(event->state, buttons, &new->modifiers, &new->group);
    if (event->type != MotionNotify)
        new->head.detail = event->detail;
    return &new->head;
}

static Head *of_crossing(const CrossingEvent *event)
{
    Bits *buttons;
    InputCrossingEvent *new = made(sizeof *new, &buttons, OFFSET(InputCrossingEvent, buttons));

    if (!new)
        return 0;
    take_state(event->state, buttons, &new->modifiers, &new->group);
    new->mode = event->mode;
    new->focus = event->focus;
    new->same_screen = event->same_screen;
    new->head.detail = event->detail;
    return &new->head;
}

static Head *of_focus(const FocusEvent *event)
{
    Bits *buttons;
    InputCrossingEvent *new = made(sizeof *new, &buttons, OFFSET(InputCrossingEvent, buttons));

    if (!new)
        return 0;
    new->mode = event->mode;
    new->focus = new->same_screen = 1;
    new->head.detail = event->detail;
    return &new->head;
}

static void take_place(Head *head, const DeviceEvent *event)
{
    head->time = event->time;
    head->root = event->root;
    head->child = event->child;
    head->root_x = event->root_x;
    head->root_y = event->root_y;
    head->event_x = event->x;
    head->event_y = event->y;
}

static void convert(Event *event)
{
    int is_focus = event->type == FocusIn || event->type == FocusOut;
    int is_crossing = event->type == EnterNotify || event->type == LeaveNotify;
    int has_keys = is_focus || event->type == KeyPress || event->type == KeyRelease;
    Head *head = is_focus ? of_focus(&event->focus)
               : is_crossing ? of_crossing(&event->crossing) : of_device(&event->device);

    if (!head)
        return;
    if (!is_focus)
        take_place(head, &event->device);
    head->type = GenericEvent;
    head->serial = event->device.serial;
    head->send_event = event->device.send_event;
    head->display = event->device.display;
    head->extension = opcode;
    head->evtype = event->type;
    head->event = event->device.window;
    head->deviceid = has_keys ? KEYBOARD : POINTER;
    head->sourceid = has_keys ? KEYS : MOUSE;
    event->cookie = (Cookie) { GenericEvent, head->serial, head->send_event, head->display,
                               opcode, head->evtype, 0, head };
}

int XNextEvent(Display *display, Event *event)
{
    int result = X11(int, XNextEvent, Display *, Event *)(display, event);

    if (helps() && event->type >= KeyPress && event->type <= FocusOut)
        convert(event);
    return result;
}

int XGetEventData(Display *display, Cookie *cookie)
{
    if (helps() && cookie->type == GenericEvent && cookie->extension == opcode)
        return cookie->data != 0;
    return X11(int, XGetEventData, Display *, Cookie *)(display, cookie);
}

void XFreeEventData(Display *display, Cookie *cookie)
{
    if (helps() && cookie->type == GenericEvent && cookie->extension == opcode) {
        free(cookie->data);
        cookie->data = 0;
        return;
    }
    X11(void, XFreeEventData, Display *, Cookie *)(display, cookie);
}

/* --- what programs do with the devices --------------------------------------------------------- */

static int is_keyboard(int device)
{
    return device == KEYBOARD || device == KEYS;
}

int XIGrabDevice(Display *display, int device, Id window, unsigned long time, Id cursor, int mode,
                 int paired_mode, int owner_events, Wanted *wanted)
{
    if (!helps())
        return XI(int, XIGrabDevice, Display *, int, Id, unsigned long, Id, int, int, int, Wanted *)(
            display, device, window, time, cursor, mode, paired_mode, owner_events, wanted);
    if (is_keyboard(device))
        return X11(int, XGrabKeyboard, Display *, Id, int, int, int, unsigned long)(
            display, window, owner_events, paired_mode, mode, time);
    return X11(int, XGrabPointer, Display *, Id, int, unsigned, int, int, Id, Id, unsigned long)(
        display, window, owner_events, in_core(wanted) & POINTER_EVENTS, mode, paired_mode, 0, cursor,
        time);
}

int XIUngrabDevice(Display *display, int device, unsigned long time)
{
    if (!helps())
        return XI(int, XIUngrabDevice, Display *, int, unsigned long)(display, device, time);
    if (is_keyboard(device))
        return X11(int, XUngrabKeyboard, Display *, unsigned long)(display, time);
    return X11(int, XUngrabPointer, Display *, unsigned long)(display, time);
}

static int in_core_modifiers(int modifiers)
{
    return modifiers == ANY_XI_MODIFIER ? AnyModifier : modifiers;
}

int XIGrabKeycode(Display *display, int device, int key, Id window, int mode, int paired_mode,
                  int owner_events, Wanted *wanted, int count, GrabModifiers *modifiers)
{
    if (!helps())
        return XI(int, XIGrabKeycode, Display *, int, int, Id, int, int, int, Wanted *, int,
                  GrabModifiers *)(display, device, key, window, mode, paired_mode, owner_events,
                                   wanted, count, modifiers);
    for (int at = 0; at < count; at++)
        X11(int, XGrabKey, Display *, int, unsigned, Id, int, int, int)(
            display, key, in_core_modifiers(modifiers[at].modifiers), window, owner_events, paired_mode,
            mode);
    return 0;
}

int XIUngrabKeycode(Display *display, int device, int key, Id window, int count,
                    GrabModifiers *modifiers)
{
    if (!helps())
        return XI(int, XIUngrabKeycode, Display *, int, int, Id, int, GrabModifiers *)(
            display, device, key, window, count, modifiers);
    for (int at = 0; at < count; at++)
        X11(int, XUngrabKey, Display *, int, unsigned, Id)(
            display, key, in_core_modifiers(modifiers[at].modifiers), window);
    return 0;
}

int XIDefineCursor(Display *display, int device, Id window, Id cursor)
{
    if (!helps())
        return XI(int, XIDefineCursor, Display *, int, Id, Id)(display, device, window, cursor);
    return X11(int, XDefineCursor, Display *, Id, Id)(display, window, cursor);
}

int XIUndefineCursor(Display *display, int device, Id window)
{
    if (!helps())
        return XI(int, XIUndefineCursor, Display *, int, Id)(display, device, window);
    return X11(int, XUndefineCursor, Display *, Id)(display, window);
}

int XIQueryPointer(Display *display, int device, Id window, Id *root, Id *child, double *root_x,
                   double *root_y, double *x, double *y, Bits *buttons, Modifiers *modifiers,
                   Modifiers *group)
{
    int whole_root_x, whole_root_y, whole_x, whole_y, same_screen;
    unsigned state;

    if (!helps())
        return XI(int, XIQueryPointer, Display *, int, Id, Id *, Id *, double *, double *, double *,
                  double *, Bits *, Modifiers *, Modifiers *)(
            display, device, window, root, child, root_x, root_y, x, y, buttons, modifiers, group);
    same_screen = X11(int, XQueryPointer, Display *, Id, Id *, Id *, int *, int *, int *, int *,
                      unsigned *)(
        display, window, root, child, &whole_root_x, &whole_root_y, &whole_x, &whole_y, &state);
    *root_x = whole_root_x;
    *root_y = whole_root_y;
    *x = whole_x;
    *y = whole_y;
    *modifiers = *group = (Modifiers) { 0 };
    *buttons = (Bits) { 0, calloc(1, MASK_BYTES) }; /* the caller frees it */
    if (buttons->mask) {
        buttons->mask_len = MASK_BYTES;
        take_state(state, buttons, modifiers, group);
    }
    return same_screen;
}
