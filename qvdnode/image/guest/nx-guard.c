/*
 * Keeps a link that breaks from costing the desktop; preloaded into nxagent alone.
 *
 * A client can go while nxagent asks that client's X server for something. The functions of
 * nx-libs that read the answer (seen in 3.5.99.26) then leave the caller's reply as it was: what
 * was on the stack, or the reply before it.
 * - XQueryExtension believes it. An extension that seems to be there enters its functions into a
 *   table of 128 events under a number that may be up to 255, and so over other parts of the
 *   display: nxagent crashes, now or at a later link.
 * - _XReply looks at it. If it seems to answer another request, it reads on, at once and for ever.
 *
 * With this, an answer that never comes is empty: extensions are not there, lists have no elements.
 *
 * Needs no header, so that it can be built where there is nothing but a compiler.
 */

enum {
    REPLY_BYTES = 32, /* of every reply of the X11 protocol, before what `extra` counts in words */
    NO_EVENT = 63,    /* neither error (0) nor reply (1), nor an event of X11 or of an extension */
};

#define NEXT_ONE ((void *) -1L) /* RTLD_NEXT, in glibc and musl */

extern void *dlsym(void *handle, const char *name);

typedef int Read(void *display, unsigned char *data, long bytes);
typedef int Reply(void *display, unsigned char *reply, int extra, int discard);

static void empty(unsigned char *data, long bytes)
{
    while (bytes > 0)
        data[--bytes] = 0;
}

int _XRead(void *display, unsigned char *data, long bytes)
{
    static Read *real;

    if (!real)
        real = (Read *) dlsym(NEXT_ONE, "_XRead");
    empty(data, bytes);
    if (bytes == REPLY_BYTES)
        data[0] = NO_EVENT;
    return real(display, data, bytes);
}

int _XReply(void *display, unsigned char *reply, int extra, int discard)
{
    static Reply *real;

    if (!real)
        real = (Reply *) dlsym(NEXT_ONE, "_XReply");
    empty(reply, REPLY_BYTES + 4L * extra);
    return real(display, reply, extra, discard);
}
